package llmsentinel;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/**
 * Records of one partition as one block of bytes, which crosses into Python as a whole; `udfs/record_block.py` reads it.
 *
 * <p>Little-endian: the number n of records; n offsets; n times at which the broker took them (ms, negative if unknown);
 * n ends of values, counted from the start of what follows; a zero byte; each value with a zero byte behind it. All
 * numbers are of 8 bytes.
 */
final class RecordBlock {

    private static final int FIRST_RECORDS = 64;
    private static final int FIRST_BYTES = 1 << 16;
    private static final int COLUMNS = 3;

    private long[] table = new long[COLUMNS * FIRST_RECORDS];
    private byte[] values = new byte[FIRST_BYTES];
    private int count;
    /** The zero byte before the first value is there from the start. */
    private int size = 1;

    void add(long offset, long takenAtMs, byte[] value) {
        if (COLUMNS * (count + 1) > table.length) {
            table = Arrays.copyOf(table, 2 * table.length);
        }
        int needed = size + value.length + 1;
        if (needed > values.length) {
            values = Arrays.copyOf(values, Math.max(needed, 2 * values.length));
        }
        System.arraycopy(value, 0, values, size, value.length);
        size += value.length;
        table[COLUMNS * count] = offset;
        table[COLUMNS * count + 1] = takenAtMs;
        table[COLUMNS * count + 2] = size;
        values[size] = 0;
        size += 1;
        count += 1;
    }

    boolean isEmpty() {
        return count == 0;
    }

    /** Bytes of all values. */
    int size() {
        return size;
    }

    /** Returns the block, and begins the next one. */
    byte[] take() {
        ByteBuffer block = ByteBuffer.allocate(Long.BYTES * (1 + COLUMNS * count) + size).order(ByteOrder.LITTLE_ENDIAN);
        block.putLong(count);
        for (int column = 0; column < COLUMNS; column++) {
            for (int record = 0; record < count; record++) {
                block.putLong(table[COLUMNS * record + column]);
            }
        }
        block.put(values, 0, size);
        count = 0;
        size = 1;
        return block.array();
    }
}
