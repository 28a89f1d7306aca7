import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.metrics.KafkaMetric;
import org.apache.kafka.common.metrics.MetricsReporter;
import org.apache.kafka.server.telemetry.ClientTelemetry;
import org.apache.kafka.server.telemetry.ClientTelemetryPayload;
import org.apache.kafka.server.telemetry.ClientTelemetryReceiver;

/**
 * A broker's reporter that writes what clients push (KIP-714) into files: {@code ID.NUMBER.push}, and
 * {@code ID.NUMBER.last} for the push that a client says is its last one. A file appears whole.
 */
public final class TelemetrySink implements MetricsReporter, ClientTelemetry {
    private final AtomicLong number = new AtomicLong();
    private Path folder;

    @Override
    public void configure(Map<String, ?> configuration) {
        folder = Path.of(configuration.get("ottla.telemetry.folder").toString());
    }

    @Override
    public ClientTelemetryReceiver clientReceiver() {
        return (context, payload) -> write(payload);
    }

    private void write(ClientTelemetryPayload payload) {
        ByteBuffer data = payload.data();
        byte[] bytes = new byte[data.remaining()];
        data.get(bytes);
        String name = payload.clientInstanceId() + "." + String.format("%06d", number.getAndIncrement());
        try {
            Path hidden = folder.resolve(name + ".part");
            Files.write(hidden, bytes);
            String ending = payload.isTerminating() ? ".last" : ".push";
            Files.move(hidden, folder.resolve(name + ending), StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    @Override
    public void init(List<KafkaMetric> metrics) {
    }

    @Override
    public void metricChange(KafkaMetric metric) {
    }

    @Override
    public void metricRemoval(KafkaMetric metric) {
    }

    @Override
    public void close() {
    }
}
