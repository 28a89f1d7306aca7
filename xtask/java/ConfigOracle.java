import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * What Java makes of configurations: the oracle of the tests in crates/producer/src/config.
 *
 * Modes: {@code definitions} prints the producer's keys, {@code strangers} those of other clients; the others answer each line of standard input with one line:
 * {@code properties} reads a file in hexadecimal, {@code values} a key, a tab and a value in hexadecimal,
 * {@code variables} a client.id in hexadecimal whose variables the environment has, and {@code producers} keys and
 * values as {@code key=value} separated by tabs.
 */
public final class ConfigOracle {
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("definitions")) {
            definitions();
        } else if (arguments[0].equals("strangers")) {
            strangers();
        } else {
            BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
            // Many at once: opening and closing a producer is mostly waiting for its thread.
            ExecutorService threads = Executors.newFixedThreadPool(16);
            List<Callable<String>> answers = new ArrayList<>();
            lines.lines().forEach(line -> answers.add(() -> answer(arguments[0], line)));
            for (Future<String> answer : threads.invokeAll(answers)) {
                OUT.println(answer.get());
            }
            threads.shutdown();
        }
        OUT.flush();
    }

    private static String answer(String mode, String line) throws Exception {
        return switch (mode) {
            case "properties" -> properties(line);
            case "values" -> value(line);
            case "producers" -> producer(line);
            case "variables" -> variables(line);
            default -> throw new IllegalArgumentException(mode);
        };
    }

    private static void definitions() {
        for (ConfigDef.ConfigKey key : new TreeMap<>(ProducerConfig.configDef().configKeys()).values()) {
            String preset = key.hasDefault() ? show(key.defaultValue) : "required";
            OUT.printf("%s\t%s\t%s\t%s%n", key.name, key.type, preset, key.importance);
        }
    }

    /** The keys of the other clients that the producer does not have, without Kafka's internal ones. */
    private static void strangers() {
        TreeSet<String> consumer = new TreeSet<>(ConsumerConfig.configNames());
        consumer.removeAll(ProducerConfig.configNames());
        TreeSet<String> admin = new TreeSet<>(AdminClientConfig.configNames());
        admin.removeAll(ProducerConfig.configNames());
        admin.removeAll(consumer);
        consumer.stream().filter(key -> !key.startsWith("internal.")).forEach(key -> OUT.println("consumer\t" + key));
        admin.forEach(key -> OUT.println("admin\t" + key));
    }

    /** The entries in UTF-16, each as key=value, by key; or the word error. */
    private static String properties(String line) throws Exception {
        Properties properties = new Properties();
        try {
            properties.load(new ByteArrayInputStream(HexFormat.of().parseHex(line)));
        } catch (IllegalArgumentException error) {
            return "error";
        }
        TreeMap<String, String> sorted = new TreeMap<>();
        properties.forEach((key, value) -> sorted.put(utf16((String) key), utf16((String) value)));
        StringBuilder entries = new StringBuilder("entries");
        sorted.forEach((key, value) -> entries.append(' ').append(key).append('=').append(value));
        return entries.toString();
    }

    /** Each half of a surrogate pair for itself: an encoder would replace one that stands alone. */
    private static String utf16(String text) {
        StringBuilder units = new StringBuilder();
        text.chars().forEach(unit -> units.append(HexFormat.of().toHexDigits((char) unit)));
        return units.toString();
    }

    private static String value(String line) {
        String[] parts = line.split("\t", -1);
        ConfigDef.ConfigKey key = ProducerConfig.configDef().configKeys().get(parts[0]);
        String text = new String(HexFormat.of().parseHex(parts[1]), StandardCharsets.UTF_8);
        try {
            new ConfigDef().define(key).parse(Map.of(key.name, text));
            return "ok";
        } catch (ConfigException error) {
            return "error";
        }
    }

    /** The client.id, in UTF-8 and hexadecimal, with the environment as a provider named e. */
    private static String variables(String line) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", "a:1");
        settings.put("key.serializer", ByteArraySerializer.class.getName());
        settings.put("value.serializer", ByteArraySerializer.class.getName());
        settings.put("config.providers", "e");
        settings.put("config.providers.e.class", "org.apache.kafka.common.config.provider.EnvVarConfigProvider");
        settings.put("client.id", new String(HexFormat.of().parseHex(line), StandardCharsets.UTF_8));
        try {
            String id = new ProducerConfig(settings).getString("client.id");
            return HexFormat.of().formatHex(id.getBytes(StandardCharsets.UTF_8));
        } catch (ConfigException error) {
            return "error";
        }
    }

    private static String producer(String line) {
        Map<String, Object> settings = new HashMap<>();
        for (String setting : line.split("\t")) {
            int separator = setting.indexOf('=');
            settings.put(setting.substring(0, separator), setting.substring(separator + 1));
        }
        ByteArraySerializer serializer = new ByteArraySerializer();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings, serializer, serializer)) {
            producer.close(Duration.ZERO);
            return "ok";
        } catch (RuntimeException error) {
            return "error";
        }
    }

    private static String show(Object value) {
        if (value == null) {
            return "none";
        } else if (value instanceof List<?> list) {
            return String.join(",", list.stream().map(Object::toString).toList());
        } else if (value instanceof Class<?> type) {
            return type.getName();
        }
        return value.toString();
    }
}
