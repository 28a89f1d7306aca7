import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.io.JsonEncoder;

/**
 * What Apache Avro reads from bytes: the oracle of the tests in crates/serialization.
 *
 * Each line of standard input is a schema and a value's bytes, both in hexadecimal. The answer is the bytes that Avro itself
 * writes for the value that it read, a space, and the value in Avro's JSON.
 */
public final class AvroOracle {
    private static final PrintStream OUT = new PrintStream(System.out, false, StandardCharsets.UTF_8);

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
        HexFormat hex = HexFormat.of();
        Schema schema = new Schema.Parser().parse(new String(hex.parseHex(words[0]), StandardCharsets.UTF_8));
        BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(hex.parseHex(words[1]), null);
        Object value = new GenericDatumReader<>(schema).read(null, decoder);
        if (!decoder.isEnd()) {
            return "rest follows " + value;
        }
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(bytes, null);
        new GenericDatumWriter<>(schema).write(value, encoder);
        encoder.flush();
        ByteArrayOutputStream text = new ByteArrayOutputStream();
        JsonEncoder json = EncoderFactory.get().jsonEncoder(schema, text, false);
        new GenericDatumWriter<>(schema).write(value, json);
        json.flush();
        String shown = text.toString(StandardCharsets.UTF_8);
        // The encoder has nothing to say about a lone null.
        return hex.formatHex(bytes.toByteArray()) + " " + (shown.isEmpty() ? "null" : shown.replace("\n", " "));
    }
}
