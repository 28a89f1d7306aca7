// Reads and writes record batches with Kafka's own classes, on request.
//
// A request is its length (int32) and its bytes, the first of which says what to do; an answer is the same, with 0 first
// for success and 1 for an error, whose text follows. Numbers are big-endian, as everywhere in Kafka's protocol.
//
// 'R' bytes: reads the batches in a log piece, deeply, with checksums; answers the number of records (int32) and the
//     CRC-32C of them in the form of `digest` (int32).
// 'W' magic (int8), codec (int8), level (int32; the least integer for the default), timestamp type (int8), base offset
//     (int64), log append time (int64), producer id (int64), epoch (int16), sequence (int32), transactional (int8), count
//     (int32), and the records: timestamp (int64), key, value, header count (int32) and headers; keys and values are a
//     length (int32, -1 for null) and bytes. Answers the batch.

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32C;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;

public class RecordsOracle {
    public static void main(String[] arguments) throws IOException {
        DataInputStream in = new DataInputStream(new java.io.BufferedInputStream(System.in, 1 << 16));
        DataOutputStream out = new DataOutputStream(new java.io.BufferedOutputStream(System.out, 1 << 16));
        while (true) {
            byte[] request;
            try {
                request = new byte[in.readInt()];
            } catch (EOFException e) {
                return;
            }
            in.readFully(request);
            byte[] answer;
            int status = 0;
            try {
                ByteBuffer buffer = ByteBuffer.wrap(request);
                answer = buffer.get() == 'R' ? read(buffer.slice()) : write(buffer);
            } catch (Throwable e) {
                status = 1;
                answer = e.toString().getBytes(StandardCharsets.UTF_8);
            }
            out.writeInt(answer.length + 1);
            out.writeByte(status);
            out.write(answer);
            out.flush();
        }
    }

    private static byte[] read(ByteBuffer bytes) throws IOException {
        MemoryRecords records = MemoryRecords.readableRecords(bytes);
        CRC32C digest = new CRC32C();
        int count = 0;
        int size = 0;
        for (RecordBatch batch : records.batches()) {
            batch.ensureValid();
            size += batch.sizeInBytes();
            for (Record record : batch) {
                digest(record, digest);
                count++;
            }
        }
        if (size != bytes.limit()) {
            throw new IllegalStateException("read " + size + " of " + bytes.limit() + " bytes");
        }
        return ByteBuffer.allocate(8).putInt(count).putInt((int) digest.getValue()).array();
    }

    private static void digest(Record record, CRC32C digest) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        out.writeLong(record.offset());
        out.writeLong(record.timestamp());
        field(out, record.hasKey() ? toArray(record.key()) : null);
        field(out, record.hasValue() ? toArray(record.value()) : null);
        out.writeInt(record.headers().length);
        for (Header header : record.headers()) {
            field(out, header.key().getBytes(StandardCharsets.UTF_8));
            field(out, header.value());
        }
        digest.update(bytes.toByteArray());
    }

    private static void field(DataOutputStream out, byte[] bytes) throws IOException {
        out.writeInt(bytes == null ? -1 : bytes.length);
        if (bytes != null) {
            out.write(bytes);
        }
    }

    private static byte[] toArray(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }

    private static byte[] write(ByteBuffer in) {
        byte magic = in.get();
        Compression compression = compression(CompressionType.forId(in.get()), in.getInt());
        TimestampType type = in.get() == 0 ? TimestampType.CREATE_TIME : TimestampType.LOG_APPEND_TIME;
        long baseOffset = in.getLong();
        long logAppendTime = in.getLong();
        long producerId = in.getLong();
        short epoch = in.getShort();
        int sequence = in.getInt();
        boolean transactional = in.get() != 0;
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1 << 16), magic, compression, type,
            baseOffset, logAppendTime, producerId, epoch, sequence, transactional, RecordBatch.NO_PARTITION_LEADER_EPOCH);
        int count = in.getInt();
        for (int i = 0; i < count; i++) {
            long timestamp = in.getLong();
            byte[] key = field(in);
            byte[] value = field(in);
            Header[] headers = new Header[in.getInt()];
            for (int h = 0; h < headers.length; h++) {
                headers[h] = new RecordHeader(new String(field(in), StandardCharsets.UTF_8), field(in));
            }
            builder.append(timestamp, key, value, headers);
        }
        return toArray(builder.build().buffer());
    }

    private static byte[] field(ByteBuffer in) {
        int length = in.getInt();
        if (length < 0) {
            return null;
        }
        byte[] bytes = new byte[length];
        in.get(bytes);
        return bytes;
    }

    private static Compression compression(CompressionType type, int level) {
        if (level == Integer.MIN_VALUE) {
            return Compression.of(type).build();
        }
        switch (type) {
            case GZIP:
                return Compression.gzip().level(level).build();
            case LZ4:
                return Compression.lz4().level(level).build();
            case ZSTD:
                return Compression.zstd().level(level).build();
            default:
                throw new IllegalArgumentException(type + " has no levels");
        }
    }
}
