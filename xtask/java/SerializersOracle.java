import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.common.serialization.BooleanSerializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.ByteBufferSerializer;
import org.apache.kafka.common.serialization.BytesSerializer;
import org.apache.kafka.common.serialization.DoubleSerializer;
import org.apache.kafka.common.serialization.FloatSerializer;
import org.apache.kafka.common.serialization.IntegerSerializer;
import org.apache.kafka.common.serialization.ListSerializer;
import org.apache.kafka.common.serialization.LongSerializer;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.common.serialization.ShortSerializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.common.serialization.UUIDSerializer;
import org.apache.kafka.common.serialization.VoidSerializer;
import org.apache.kafka.common.utils.Bytes;

/**
 * What Java's own serializers write: the oracle of the tests in crates/serialization.
 *
 * Each line of standard input is a kind and a value, {@code null} or as the kind has it: bytes and text (UTF-16) are
 * hexadecimal, numbers are their bits in hexadecimal. {@code list KIND} takes values that each end in a comma. The answer is the
 * payload in hexadecimal, or {@code null}.
 */
public final class SerializersOracle {
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    private static final HexFormat HEX = HexFormat.of();

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        lines.lines().forEach(line -> {
            byte[] payload = payload(line.split(" ", -1));
            OUT.println(payload == null ? "null" : HEX.formatHex(payload));
        });
        OUT.flush();
    }

    private static byte[] payload(String[] words) {
        if (words[0].equals("list")) {
            List<Object> list = new ArrayList<>();
            String[] elements = words[2].split(",", -1);
            for (int index = 0; index + 1 < elements.length; index++) {
                list.add(value(words[1], elements[index]));
            }
            return write(new ListSerializer<>(serializer(words[1])), list);
        }
        return write(serializer(words[0]), value(words[0], words[1]));
    }

    @SuppressWarnings("unchecked")
    private static byte[] write(Serializer<?> serializer, Object value) {
        return ((Serializer<Object>) serializer).serialize("topic", value);
    }

    @SuppressWarnings("unchecked")
    private static Serializer<Object> serializer(String kind) {
        String[] parts = kind.split(":");
        Serializer<?> serializer = switch (parts[0]) {
            case "string" -> new StringSerializer();
            case "bytes" -> new ByteArraySerializer();
            case "wrapped" -> new BytesSerializer();
            case "buffer" -> new ByteBufferSerializer();
            case "short" -> new ShortSerializer();
            case "integer" -> new IntegerSerializer();
            case "long" -> new LongSerializer();
            case "float" -> new FloatSerializer();
            case "double" -> new DoubleSerializer();
            case "uuid" -> new UUIDSerializer();
            case "boolean" -> new BooleanSerializer();
            case "void" -> new VoidSerializer();
            default -> throw new IllegalArgumentException(kind);
        };
        if (parts.length > 1 && !parts[0].equals("buffer")) {
            serializer.configure(Map.of("serializer.encoding", parts[1]), false);
        }
        return (Serializer<Object>) serializer;
    }

    private static Object value(String kind, String text) {
        if (text.equals("null")) {
            return null;
        }
        String[] parts = kind.split(":");
        return switch (parts[0]) {
            case "string" -> new String(HEX.parseHex(text), StandardCharsets.UTF_16BE);
            case "bytes" -> HEX.parseHex(text);
            case "wrapped" -> new Bytes(HEX.parseHex(text));
            case "buffer" -> {
                ByteBuffer buffer = ByteBuffer.wrap(HEX.parseHex(text));
                buffer.position(Integer.parseInt(parts[1]));
                yield buffer;
            }
            case "short" -> (short) Integer.parseInt(text, 16);
            case "integer" -> Integer.parseUnsignedInt(text, 16);
            case "long" -> Long.parseUnsignedLong(text, 16);
            case "float" -> Float.intBitsToFloat(Integer.parseUnsignedInt(text, 16));
            case "double" -> Double.longBitsToDouble(Long.parseUnsignedLong(text, 16));
            case "uuid" -> {
                BigInteger bits = new BigInteger(text, 16);
                yield new UUID(bits.shiftRight(64).longValue(), bits.longValue());
            }
            case "boolean" -> text.equals("1");
            default -> throw new IllegalArgumentException(kind);
        };
    }
}
