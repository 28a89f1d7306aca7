// Random instances of every message of the Kafka client on the class path, encoded by that client.
//
// Usage: java -cp 'lib/*' MessagesOracle.java SEED COUNT
//
// For each message (requests, responses, headers, data that is stored in records) and each version that the client can
// write, unstable ones included, it prints COUNT lines `KEY KIND VERSION HEX`: KEY is the number of the API, or the name
// of a message that belongs to none; KIND is request, response, header or data.
//
// An instance depends on the seed, its message, its version and its number alone, so that a line can be made again
// without the others. Which fields a version has is read from the client's own schemas, and they are set by reflection.
// The client must read each line back to the same bytes, or this program fails: a difference that someone else then
// finds is theirs.

import java.io.BufferedOutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Enumeration;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;

public final class MessagesOracle {
    /** Arrays in arrays multiply: below this depth they have at most one element. */
    private static final int DEPTH_OF_MANY = 3;

    /** Tags that Kafka may use one day are small; these and all others have to survive. */
    private static final int UNKNOWN_TAG_MAX = Integer.MAX_VALUE;

    private static final String[] STRINGS = {
        "", "a", "topic", "__consumer_offsets", "é", "日本語", "\0", "\n\t\"\\", "😀", "ﬀ\u0301",
    };

    private final PrintStream out;
    private final long seed;
    private final int count;

    /** For the instance that is being made. */
    private SplittableRandom random;

    /** The fields of each class by their names in lower case without underscores. */
    private final Map<Class<?>, Map<String, Field>> fields = new HashMap<>();

    /** The tags that each class knows, in any version: none of them is an unknown one. */
    private final Map<Class<?>, Set<Integer>> tags = new HashMap<>();

    private MessagesOracle(PrintStream out, long seed, int count) {
        this.out = out;
        this.seed = seed;
        this.count = count;
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length != 2) {
            System.err.println("usage: MessagesOracle SEED COUNT");
            System.exit(2);
        }
        long seed = Long.parseUnsignedLong(arguments[0]);
        int count = Integer.parseInt(arguments[1]);
        try (PrintStream out = new PrintStream(new BufferedOutputStream(System.out, 1 << 16), false)) {
            new MessagesOracle(out, seed, count).run();
            if (out.checkError()) {
                throw new IllegalStateException("cannot write the output");
            }
        }
    }

    private void run() throws Exception {
        for (ApiMessageType api : ApiMessageType.values()) {
            String key = Short.toString(api.apiKey());
            if (api.lowestSupportedVersion() > api.highestSupportedVersion(true)) {
                // No version is left of it, only the number.
                continue;
            }
            write(key, "request", api.newRequest(), api.requestSchemas());
            write(key, "response", api.newResponse(), api.responseSchemas());
        }
        for (Map.Entry<String, String> entry : messagesWithoutApi().entrySet()) {
            String name = entry.getKey();
            String kind = entry.getValue();
            Class<?> type = Class.forName(
                    "org.apache.kafka.common.message." + name + (kind.equals("header") ? "Data" : ""));
            Message message = (Message) type.getDeclaredConstructor().newInstance();
            write(name, kind, message, (Schema[]) type.getField("SCHEMAS").get(null));
        }
    }

    /** The headers and the data in the client's jar: names and kinds, from the schemas that it carries. */
    private static Map<String, String> messagesWithoutApi() throws Exception {
        Map<String, String> found = new TreeMap<>();
        Pattern kind = Pattern.compile("\"type\"\\s*:\\s*\"(header|data)\"\\s*,\\s*\"name\"\\s*:\\s*\"(\\w+)\"");
        java.net.URI place = ApiMessageType.class.getProtectionDomain().getCodeSource().getLocation().toURI();
        try (JarFile jar = new JarFile(new java.io.File(place))) {
            Enumeration<JarEntry> entries = jar.entries();
            while (entries.hasMoreElements()) {
                JarEntry entry = entries.nextElement();
                if (entry.getName().matches("common/message/\\w+\\.json")) {
                    byte[] text = jar.getInputStream(entry).readAllBytes();
                    Matcher matcher = kind.matcher(new String(text, StandardCharsets.UTF_8));
                    if (matcher.find()) {
                        found.put(matcher.group(2), matcher.group(1));
                    }
                }
            }
        }
        return found;
    }

    private void write(String key, String kind, Message empty, Schema[] schemas) throws Exception {
        Class<?> type = empty.getClass();
        for (Schema schema : schemas) {
            if (schema != null) {
                collectTags(type, schema);
            }
        }
        for (short version = empty.lowestSupportedVersion(); version <= empty.highestSupportedVersion(); version++) {
            for (int number = 0; number < count; number++) {
                random = new SplittableRandom(seed ^ mix(mix(type.getName().hashCode(), version), number));
                Message message = (Message) struct(schemas[version], type, 0, number == 0);
                byte[] bytes = encode(message, version);
                Message again = (Message) type.getDeclaredConstructor().newInstance();
                again.read(new ByteBufferAccessor(ByteBuffer.wrap(bytes)), version);
                if (!Arrays.equals(bytes, encode(again, version))) {
                    throw new IllegalStateException("Java does not read back " + type.getName() + " version " + version
                            + ": " + HexFormat.of().formatHex(bytes));
                }
                out.print(key + ' ' + kind + ' ' + version + ' ' + HexFormat.of().formatHex(bytes) + '\n');
            }
        }
    }

    private static long mix(long a, long b) {
        return new SplittableRandom(a * 31 + b).nextLong();
    }

    private static byte[] encode(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining()) {
            throw new IllegalStateException("Java wrote less than it said: " + message.getClass().getName());
        }
        return buffer.array();
    }

    private void collectTags(Class<?> type, Schema schema) throws Exception {
        Set<Integer> known = tags.computeIfAbsent(type, any -> new TreeSet<>());
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields tagged) {
                known.addAll(tagged.fields().keySet());
                for (var entry : tagged.fields().values()) {
                    collectTagsWithin(field(type, entry.name), entry.type);
                }
            } else {
                collectTagsWithin(field(type, field.def.name), field.def.type);
            }
        }
    }

    private void collectTagsWithin(Field field, Type type) throws Exception {
        if (type instanceof Schema schema) {
            collectTags(field.getType(), schema);
        } else if (type.isArray() && type.arrayElementType().get() instanceof Schema schema) {
            collectTags(elementClass(field), schema);
        }
    }

    /** A struct of the fields that the schema has; with `plain` everything has its default. */
    private Object struct(Schema schema, Class<?> type, int depth, boolean plain) throws Exception {
        Object struct = type.getDeclaredConstructor().newInstance();
        for (BoundField field : schema.fields()) {
            // What Java sets to null by itself, and then cannot write.
            if (field.def.type == Type.RECORDS || field.def.type == Type.COMPACT_RECORDS) {
                field(type, field.def.name).set(struct, MemoryRecords.EMPTY);
            }
        }
        if (plain) {
            return struct;
        }
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields tagged) {
                for (var entry : tagged.fields().values()) {
                    if (random.nextBoolean()) {
                        set(struct, entry, depth);
                    }
                }
                addUnknownTags(((Message) struct).unknownTaggedFields(), tags.get(type));
            } else if (random.nextInt(10) > 0) {
                set(struct, field.def, depth);
            }
        }
        return struct;
    }

    private void set(Object struct, org.apache.kafka.common.protocol.types.Field def, int depth) throws Exception {
        Field field = field(struct.getClass(), def.name);
        boolean none = def.type.isNullable() && random.nextInt(4) == 0;
        field.set(struct, none ? null : value(def.type, field, depth));
    }

    private Object value(Type type, Field field, int depth) throws Exception {
        if (type instanceof Schema schema) {
            return struct(schema, field.getType(), depth + 1, random.nextInt(8) == 0);
        }
        if (type.isArray()) {
            return array(type.arrayElementType().get(), field, depth);
        }
        return scalar(type, field.getType());
    }

    @SuppressWarnings("unchecked")
    private Object array(Type element, Field field, int depth) throws Exception {
        Class<?> elementClass = elementClass(field);
        // Collections with keys are classes of their own.
        Collection<Object> array = field.getType() == List.class
                ? new ArrayList<>()
                : (Collection<Object>) field.getType().getDeclaredConstructor().newInstance();
        int length = random.nextInt(depth >= DEPTH_OF_MANY ? 2 : 4);
        if (!(element instanceof Schema) && random.nextInt(50) == 0) {
            // A compact length of two bytes.
            length = 127 + random.nextInt(3);
        }
        for (int index = 0; index < length; index++) {
            array.add(element instanceof Schema schema
                    ? struct(schema, elementClass, depth + 1, random.nextInt(8) == 0)
                    : scalar(element, elementClass));
        }
        return array;
    }

    private Object scalar(Type type, Class<?> wanted) {
        String name = type.toString();
        if (name.equals("UINT16")) {
            return (int) number(0xffffL) & 0xffff;
        } else if (name.equals("UINT32")) {
            return number(0xffff_ffffL) & 0xffff_ffffL;
        } else if (wanted == boolean.class || wanted == Boolean.class) {
            return random.nextBoolean();
        } else if (wanted == byte.class || wanted == Byte.class) {
            return (byte) number(Byte.MAX_VALUE);
        } else if (wanted == short.class || wanted == Short.class) {
            return (short) number(Short.MAX_VALUE);
        } else if (wanted == int.class || wanted == Integer.class) {
            return (int) number(Integer.MAX_VALUE);
        } else if (wanted == long.class || wanted == Long.class) {
            return number(Long.MAX_VALUE);
        } else if (wanted == double.class || wanted == Double.class) {
            return real();
        } else if (wanted == Uuid.class) {
            return random.nextInt(4) == 0 ? Uuid.ZERO_UUID : new Uuid(random.nextLong(), random.nextLong());
        } else if (wanted == String.class) {
            return string();
        } else if (wanted == byte[].class) {
            return bytes();
        } else if (wanted == ByteBuffer.class) {
            return ByteBuffer.wrap(bytes());
        } else if (wanted == BaseRecords.class) {
            return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
        }
        throw new IllegalStateException("no values for " + name + " as " + wanted);
    }

    /** Any number of the type whose largest is `max` (its caller cuts it to size), the edges often. */
    private long number(long max) {
        return switch (random.nextInt(8)) {
            case 0 -> 0;
            case 1 -> -1;
            case 2 -> max;
            case 3 -> -max - 1;
            case 4 -> random.nextInt(200);
            default -> random.nextLong();
        };
    }

    private double real() {
        double[] edges = {0.0, -0.0, 1.0, Double.MIN_VALUE, Double.MAX_VALUE, Double.NEGATIVE_INFINITY, Double.NaN};
        return random.nextBoolean() ? edges[random.nextInt(edges.length)] : Double.longBitsToDouble(random.nextLong());
    }

    private String string() {
        int parts = random.nextInt(3);
        if (random.nextInt(40) == 0) {
            // Lengths of two bytes, and of three where they are compact.
            parts = random.nextBoolean() ? 60 : 4000;
        }
        StringBuilder string = new StringBuilder();
        for (int part = 0; part < parts; part++) {
            string.append(STRINGS[random.nextInt(STRINGS.length)]);
        }
        // A string's length is 16 bits wide, in bytes.
        return string.length() > 8_000 ? string.substring(0, string.offsetByCodePoints(0, 4_000)) : string.toString();
    }

    private byte[] bytes() {
        byte[] bytes = new byte[random.nextInt(30) == 0 ? 100 + random.nextInt(20_000) : random.nextInt(12)];
        random.nextBytes(bytes);
        return bytes;
    }

    private void addUnknownTags(List<RawTaggedField> unknown, Set<Integer> known) {
        if (random.nextInt(4) > 0) {
            return;
        }
        Set<Integer> added = new TreeSet<>();
        for (int number = random.nextInt(4); number > 0; number--) {
            added.add(random.nextInt(3) == 0 ? random.nextInt(UNKNOWN_TAG_MAX) : random.nextInt(300));
        }
        added.removeAll(known);
        for (int tag : added) {
            unknown.add(new RawTaggedField(tag, bytes()));
        }
    }

    private static Class<?> elementClass(Field field) {
        java.lang.reflect.Type type = field.getGenericType();
        if (!(type instanceof ParameterizedType)) {
            // A collection with keys: its superclass names the element.
            type = field.getType().getGenericSuperclass();
        }
        return (Class<?>) ((ParameterizedType) type).getActualTypeArguments()[0];
    }

    /** The field of `type` that a schema calls `name`: words with underscores there, camel case here. */
    private Field field(Class<?> type, String name) {
        Map<String, Field> all = fields.computeIfAbsent(type, any -> {
            Map<String, Field> found = new HashMap<>();
            for (Field field : type.getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers())) {
                    field.setAccessible(true);
                    found.put(field.getName().toLowerCase(Locale.ROOT), field);
                }
            }
            return found;
        });
        Field field = all.get(name.replace("_", "").toLowerCase(Locale.ROOT));
        if (field == null) {
            throw new IllegalStateException(type.getName() + " has no field for " + name);
        }
        return field;
    }
}
