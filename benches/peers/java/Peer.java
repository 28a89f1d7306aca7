import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/** Sends with Java's producer, for the comparison. */
public final class Peer {
    /** How many records a transaction has. */
    private static final int TRANSACTION_RECORDS = 1000;

    private final Map<String, String> arguments;
    private final byte[][] values;
    private final byte[][] keys;
    private final KafkaProducer<byte[], byte[]> producer;
    private final AtomicLong failed = new AtomicLong();
    private long[] latencies = new long[0];

    private Peer(Map<String, String> arguments) throws IOException {
        this.arguments = arguments;
        values = ring(arguments.get("values"), number("size", 0));
        keys = arguments.containsKey("keys") ? ring(arguments.get("keys"), number("key-size", 0)) : null;
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments.get("bootstrap"));
        settings.put("acks", "all");
        settings.put("enable.idempotence", "true");
        // Java takes whole milliseconds.
        settings.put("linger.ms", Long.toString(Math.round(Double.parseDouble(arguments.get("linger-ms")))));
        settings.put("batch.size", arguments.get("batch-bytes"));
        settings.put("buffer.memory", arguments.get("buffer-bytes"));
        settings.put("compression.type", arguments.get("compression"));
        // As large as a broker takes: its default does not hold two of the largest batches.
        settings.put("max.request.size", "8000000");
        if (isTransactional()) {
            settings.put("transactional.id", "peer-" + ProcessHandle.current().pid());
        }
        producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    public static void main(String[] words) throws Exception {
        Map<String, String> arguments = new HashMap<>();
        for (int i = 0; i + 1 < words.length; i += 2) {
            arguments.put(words[i].substring(2), words[i + 1]);
        }
        new Peer(arguments).run();
    }

    private int number(String name, int otherwise) {
        String text = arguments.get(name);
        return text == null ? otherwise : Integer.parseInt(text);
    }

    private static byte[][] ring(String file, int size) throws IOException {
        byte[] all = Files.readAllBytes(Path.of(file));
        byte[][] values = new byte[all.length / size][];
        for (int i = 0; i < values.length; i++) {
            values[i] = Arrays.copyOfRange(all, i * size, (i + 1) * size);
        }
        return values;
    }

    private boolean isTransactional() {
        return "transactions".equals(arguments.get("mode"));
    }

    private void run() throws Exception {
        if (isTransactional()) {
            producer.initTransactions();
        }
        sendAll(number("warmup", 0));
        int count = number("count", 0);
        long[] begin = moment();
        sendAll(count);
        long[] end = moment();
        producer.close();
        report(count, begin, end);
        if (failed.get() > 0) {
            System.exit(1);
        }
    }

    private void sendAll(int count) throws Exception {
        int threads = number("threads", 1);
        if (threads == 1) {
            send(count);
        } else {
            Thread[] all = new Thread[threads];
            for (int i = 0; i < threads; i++) {
                int share = count / threads + (i < count % threads ? 1 : 0);
                all[i] = new Thread(() -> sendMany(share));
                all[i].start();
            }
            for (Thread thread : all) {
                thread.join();
            }
        }
        producer.flush();
    }

    private void send(int count) throws Exception {
        switch (arguments.get("mode")) {
            case "latency" -> sendTimed(count);
            case "await" -> sendAwaited(count);
            case "transactions" -> sendInTransactions(count);
            default -> sendMany(count);
        }
    }

    private ProducerRecord<byte[], byte[]> record(int number) {
        byte[] key = keys == null ? null : keys[number % keys.length];
        return new ProducerRecord<>(arguments.get("topic"), key, values[number % values.length]);
    }

    private void sendMany(int count) {
        String topic = arguments.get("topic");
        for (int i = 0; i < count; i++) {
            byte[] key = keys == null ? null : keys[i % keys.length];
            producer.send(new ProducerRecord<>(topic, key, values[i % values.length]), this::done);
        }
    }

    private void sendInTransactions(int count) {
        for (int sent = 0; sent < count; sent += TRANSACTION_RECORDS) {
            producer.beginTransaction();
            sendMany(Math.min(TRANSACTION_RECORDS, count - sent));
            producer.commitTransaction();
        }
    }

    private void done(RecordMetadata metadata, Exception error) {
        if (error != null) {
            failed.incrementAndGet();
        }
    }

    private void sendAwaited(int count) throws Exception {
        int window = number("window", 10_000);
        ArrayDeque<Future<RecordMetadata>> outstanding = new ArrayDeque<>(window);
        for (int i = 0; i < count; i++) {
            if (outstanding.size() == window) {
                outstanding.remove().get();
            }
            outstanding.add(producer.send(record(i)));
        }
        for (Future<RecordMetadata> future : outstanding) {
            future.get();
        }
    }

    private void sendTimed(int count) {
        long[] all = new long[count];
        long interval = 1_000_000_000L / number("rate", 1000);
        long start = System.nanoTime();
        for (int i = 0; i < count; i++) {
            int index = i;
            for (long left; (left = start + i * interval - System.nanoTime()) > 0; ) {
                LockSupport.parkNanos(left);
            }
            long begin = System.nanoTime();
            producer.send(record(i), (metadata, error) -> {
                all[index] = System.nanoTime() - begin;
                done(metadata, error);
            });
        }
        latencies = all;
    }

    /** Nanoseconds of time and of CPU, and ticks of user and system time. */
    private static long[] moment() throws IOException {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        String stat = Files.readString(Path.of("/proc/self/stat"));
        String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
        return new long[] {
            System.nanoTime(), system.getProcessCpuTime(), Long.parseLong(fields[11]), Long.parseLong(fields[12])
        };
    }

    private void report(int count, long[] begin, long[] end) throws IOException {
        double cpu = (end[1] - begin[1]) / 1e9;
        double user = end[2] - begin[2];
        double all = Math.max(1, user + end[3] - begin[3]);
        String line = String.format(
                Locale.ROOT,
                "{\"client\":\"Java %s (JDK %s)\",\"records\":%d,\"seconds\":%.6f,\"cpu_seconds\":%.6f,"
                        + "\"user_seconds\":%.6f,\"system_seconds\":%.6f,\"resident_bytes_max\":%d,\"failed\":%d",
                AppInfoParser.getVersion(),
                System.getProperty("java.version"),
                count,
                (end[0] - begin[0]) / 1e9,
                cpu,
                cpu * user / all,
                cpu * (1 - user / all),
                residentBytesMax(),
                failed.get());
        if (latencies.length > 0) {
            Arrays.sort(latencies);
            line += String.format(
                    Locale.ROOT,
                    ",\"latency_us\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}",
                    at(0.5),
                    at(0.9),
                    at(0.99),
                    at(0.999),
                    at(1));
        }
        System.out.println(line + ",\"settings\":\"enable.idempotence, max.request.size=8000000, -Xmx512m\"}");
    }

    private double at(double share) {
        return latencies[(int) Math.round((latencies.length - 1) * share)] / 1e3;
    }

    private static long residentBytesMax() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith("VmHWM:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
            }
        }
        return 0;
    }
}
