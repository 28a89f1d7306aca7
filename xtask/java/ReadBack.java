import com.google.protobuf.DescriptorProtos.FileDescriptorProto;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.io.JsonEncoder;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.utils.ByteUtils;

/**
 * Reads a topic's partition 0 with Java's consumer, and each value with Avro's or Google's library: what the test of the typed
 * producer compares. Values have a schema registry's prefix, which is printed in front.
 *
 * Arguments: the bootstrap address, the topic, how many records, and `avro` with a schema's text or `protobuf` with the texts
 * of the fields of a message as `type name`.
 */
public final class ReadBack {
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

    public static void main(String[] arguments) throws Exception {
        int left = Integer.parseInt(arguments[2]);
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0]);
        TopicPartition partition = new TopicPartition(arguments[1], 0);
        ByteArrayDeserializer bytes = new ByteArrayDeserializer();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings, bytes, bytes)) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            while (left > 0) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    OUT.println(shown(record.value(), arguments));
                    left--;
                }
            }
        }
        OUT.flush();
    }

    private static String shown(byte[] value, String[] arguments) throws Exception {
        ByteBuffer buffer = ByteBuffer.wrap(value);
        String prefix = buffer.get() + " " + buffer.getInt() + " ";
        if (arguments[3].equals("avro")) {
            return prefix + avro(buffer, new Schema.Parser().parse(arguments[4]));
        }
        int count = ByteUtils.readVarint(buffer);
        StringJoiner path = new StringJoiner(",", "", " ");
        for (int index = 0; index < count; index++) {
            path.add(Integer.toString(ByteUtils.readVarint(buffer)));
        }
        return prefix + path + protobuf(buffer, Arrays.copyOfRange(arguments, 4, arguments.length));
    }

    private static String avro(ByteBuffer buffer, Schema schema) throws Exception {
        BinaryDecoder decoder =
                DecoderFactory.get().binaryDecoder(buffer.array(), buffer.position(), buffer.remaining(), null);
        Object value = new GenericDatumReader<>(schema).read(null, decoder);
        if (!decoder.isEnd()) {
            return "rest follows " + value;
        }
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        JsonEncoder json = EncoderFactory.get().jsonEncoder(schema, text, false);
        new GenericDatumWriter<>(schema).write(value, json);
        json.flush();
        return text.toString(StandardCharsets.UTF_8).replace("\n", " ");
    }

    /** The message is described here once more, so that nothing of ours says how it is to be read. */
    private static String protobuf(ByteBuffer buffer, String[] fields) throws Exception {
        var message = com.google.protobuf.DescriptorProtos.DescriptorProto.newBuilder().setName("M");
        int number = 0;
        for (String field : fields) {
            String[] words = field.split(" ");
            message.addFieldBuilder()
                    .setName(words[1])
                    .setNumber(++number)
                    .setType(com.google.protobuf.DescriptorProtos.FieldDescriptorProto.Type.valueOf(
                            "TYPE_" + words[0].toUpperCase(java.util.Locale.ROOT)));
        }
        FileDescriptorProto file = FileDescriptorProto.newBuilder()
                .setName("m.proto")
                .setSyntax("proto3")
                .addMessageType(message)
                .build();
        Descriptor type = FileDescriptor.buildFrom(file, new FileDescriptor[0]).findMessageTypeByName("M");
        byte[] rest = new byte[buffer.remaining()];
        buffer.get(rest);
        DynamicMessage read = DynamicMessage.parseFrom(type, rest);
        if (!read.getUnknownFields().asMap().isEmpty()) {
            return "unknown fields in " + read;
        }
        StringJoiner text = new StringJoiner(" ");
        read.getAllFields().forEach((field, value) -> text.add(field.getName() + "=" + value));
        return text.toString();
    }
}
