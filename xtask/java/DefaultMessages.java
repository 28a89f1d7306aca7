import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;

/**
 * Prints what the Java client writes for a message of which nothing was set. Each line of the input is a message's name;
 * each line of the output is its name, a version and hex, or `refused` where Java does not write it.
 */
public final class DefaultMessages {
    public static void main(String[] arguments) throws Exception {
        BufferedReader names = new BufferedReader(new InputStreamReader(System.in));
        for (String name = names.readLine(); name != null; name = names.readLine()) {
            Message message = instance(name);
            for (short version = message.lowestSupportedVersion(); version <= message.highestSupportedVersion(); version++) {
                System.out.println(name + " " + version + " " + written(message, version));
            }
        }
    }

    private static Message instance(String name) throws Exception {
        String path = "org.apache.kafka.common.message." + name;
        Class<?> type;
        try {
            type = Class.forName(path + "Data");
        } catch (ClassNotFoundException notApi) {
            type = Class.forName(path);
        }
        return (Message) type.getDeclaredConstructor().newInstance();
    }

    private static String written(Message message, short version) {
        try {
            ObjectSerializationCache cache = new ObjectSerializationCache();
            ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
            message.write(new ByteBufferAccessor(buffer), cache, version);
            return "=" + HexFormat.of().formatHex(buffer.array());
        } catch (RuntimeException refused) {
            return "refused";
        }
    }
}
