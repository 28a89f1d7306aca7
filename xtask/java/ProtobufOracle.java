import com.google.protobuf.ByteString;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.EnumValueDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.Message;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * What Google's library reads from bytes: the oracle of the tests in crates/serialization.
 *
 * Each line of standard input is a FileDescriptorSet in hexadecimal (files in the order in which they need each other), the
 * full name of a message, and a message's bytes in hexadecimal. The answer is the bytes that the library itself writes for
 * the message that it read, a space, and what the message says.
 */
public final class ProtobufOracle {
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    private static final HexFormat HEX = HexFormat.of();

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String line;
        while ((line = lines.readLine()) != null) {
            OUT.println(answer(line));
        }
        OUT.flush();
    }

    private static String answer(String line) throws Exception {
        String[] words = line.split(" ", -1);
        Descriptor type = find(FileDescriptorSet.parseFrom(HEX.parseHex(words[0])), words[1]);
        DynamicMessage message = DynamicMessage.parseFrom(type, HEX.parseHex(words[2]));
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        CodedOutputStream output = CodedOutputStream.newInstance(bytes);
        output.useDeterministicSerialization();
        message.writeTo(output);
        output.flush();
        return HEX.formatHex(bytes.toByteArray()) + " " + shown(message);
    }

    static Descriptor find(FileDescriptorSet set, String name) throws Exception {
        Map<String, FileDescriptor> files = new HashMap<>();
        for (FileDescriptorProto file : set.getFileList()) {
            FileDescriptor[] needed = file.getDependencyList().stream().map(files::get).toArray(FileDescriptor[]::new);
            files.put(file.getName(), FileDescriptor.buildFrom(file, needed));
        }
        for (FileDescriptor file : files.values()) {
            for (Descriptor message : file.getMessageTypes()) {
                Descriptor found = find(message, name);
                if (found != null) {
                    return found;
                }
            }
        }
        throw new IllegalArgumentException("no message " + name);
    }

    private static Descriptor find(Descriptor message, String name) {
        if (message.getFullName().equals(name)) {
            return message;
        }
        for (Descriptor inner : message.getNestedTypes()) {
            Descriptor found = find(inner, name);
            if (found != null) {
                return found;
            }
        }
        return null;
    }

    /** Fields by their numbers, a map's entries by what their keys look like, and numbers exactly. */
    static String shown(Message message) {
        StringBuilder text = new StringBuilder("{");
        for (Map.Entry<FieldDescriptor, Object> entry : message.getAllFields().entrySet()) {
            FieldDescriptor field = entry.getKey();
            text.append(field.getName()).append('=');
            if (field.isMapField()) {
                Map<String, String> sorted = new TreeMap<>();
                Descriptor type = field.getMessageType();
                for (Object item : (List<?>) entry.getValue()) {
                    Message pair = (Message) item;
                    sorted.put(
                            shown(pair.getField(type.findFieldByNumber(1))),
                            shown(pair.getField(type.findFieldByNumber(2))));
                }
                text.append('(');
                sorted.forEach((key, value) -> text.append(key).append('=').append(value).append(','));
                text.append(')');
            } else if (field.isRepeated()) {
                text.append('[');
                ((List<?>) entry.getValue()).forEach(item -> text.append(shown(item)).append(','));
                text.append(']');
            } else {
                text.append(shown(entry.getValue()));
            }
            text.append(',');
        }
        if (!message.getUnknownFields().asMap().isEmpty()) {
            text.append("unknown fields ").append(message.getUnknownFields().asMap().keySet());
        }
        return text.append('}').toString();
    }

    private static String shown(Object value) {
        if (value instanceof Message message) {
            return shown(message);
        }
        if (value instanceof EnumValueDescriptor symbol) {
            return Integer.toString(symbol.getNumber());
        }
        if (value instanceof String text) {
            return "'" + HEX.formatHex(text.getBytes(StandardCharsets.UTF_8));
        }
        if (value instanceof ByteString bytes) {
            return "'" + HEX.formatHex(bytes.toByteArray());
        }
        if (value instanceof Float number) {
            return "#" + Integer.toHexString(Float.floatToRawIntBits(number));
        }
        if (value instanceof Double number) {
            return "#" + Long.toHexString(Double.doubleToRawLongBits(number));
        }
        return value.toString();
    }
}
