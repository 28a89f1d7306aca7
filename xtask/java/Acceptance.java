import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.utils.Utils;

/**
 * What `cargo xtask acceptance` asks of Java before it starts: creates the topics that it will write to, and says where
 * Java's own producer would put each key.
 *
 * Arguments: bootstrap address, partitions, replication factor, topics. Reads keys from standard input, one in a line,
 * and prints the partition of each, one in a line.
 */
public final class Acceptance {
    public static void main(String[] arguments) throws Exception {
        int partitions = Integer.parseInt(arguments[1]);
        short replicas = Short.parseShort(arguments[2]);
        List<NewTopic> topics = new ArrayList<>();
        for (int i = 3; i < arguments.length; i++) {
            topics.add(new NewTopic(arguments[i], partitions, replicas));
        }
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", arguments[0]))) {
            admin.createTopics(topics).all().get();
        }
        StringBuilder answer = new StringBuilder();
        BufferedReader keys = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String key = keys.readLine(); key != null; key = keys.readLine()) {
            byte[] bytes = key.getBytes(StandardCharsets.UTF_8);
            answer.append(partition(bytes, partitions)).append('\n');
        }
        System.out.print(answer);
    }

    private static int partition(byte[] key, int partitions) throws Exception {
        try {
            Class<?> partitioner = Class.forName("org.apache.kafka.clients.producer.internals.BuiltInPartitioner");
            return (int) partitioner.getMethod("partitionForKey", byte[].class, int.class).invoke(null, key, partitions);
        } catch (ClassNotFoundException before3_3) {
            // As its DefaultPartitioner had it.
            return Utils.toPositive(Utils.murmur2(key)) % partitions;
        }
    }
}
