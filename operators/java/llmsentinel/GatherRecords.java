package llmsentinel;

import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.types.Row;

/**
 * Gathers the records that each partition brings within a tick into one row: (shard key, (partition, block of records)).
 *
 * <p>It holds no state: what it has gathered goes on before every checkpoint barrier, so that the source's offsets and
 * the state behind are of one moment. It runs in the source's thread, before anything is keyed, and is the only thing
 * that the wall clock decides; nothing depends on how records are cut into rows.
 */
public final class GatherRecords extends AbstractStreamOperator<Row>
        implements OneInputStreamOperator<Tuple4<Integer, Long, Long, byte[]>, Row> {

    private static final long serialVersionUID = 1L;

    /** A row is not kept waiting for its tick when it has this many bytes: a bound of memory, not of latency. */
    private static final int BYTES_MAX = 4 << 20;

    private final int[] shardKeys;
    private final long tickMs;

    private transient Map<Integer, RecordBlock> blocks;
    private transient boolean isTickSet;

    /**
     * @param shardKeys the key of each partition's shard; a partition that was added later has its own number as key
     * @param tickMs how long after its first record a row goes on, in milliseconds
     */
    public GatherRecords(int[] shardKeys, long tickMs) {
        this.shardKeys = shardKeys;
        this.tickMs = tickMs;
    }

    @Override
    public void open() throws Exception {
        super.open();
        blocks = new LinkedHashMap<>();
    }

    @Override
    public void processElement(StreamRecord<Tuple4<Integer, Long, Long, byte[]>> element) {
        Tuple4<Integer, Long, Long, byte[]> record = element.getValue();
        RecordBlock block = blocks.computeIfAbsent(record.f0, partition -> new RecordBlock());
        block.add(record.f1, record.f2, record.f3);
        if (block.size() >= BYTES_MAX) {
            send(record.f0, block);
        } else if (!isTickSet) {
            isTickSet = true;
            long now = getProcessingTimeService().getCurrentProcessingTime();
            getProcessingTimeService().registerTimer(now + tickMs, at -> onTick());
        }
    }

    @Override
    public void prepareSnapshotPreBarrier(long checkpointId) {
        sendAll();
    }

    @Override
    public void finish() {
        sendAll();
    }

    private void onTick() {
        isTickSet = false;
        sendAll();
    }

    private void sendAll() {
        blocks.forEach(this::send);
    }

    private void send(int partition, RecordBlock block) {
        if (block.isEmpty()) {
            return;
        }
        int key = partition < shardKeys.length ? shardKeys[partition] : partition;
        output.collect(new StreamRecord<>(Row.of(key, Row.of(partition, block.take()))));
    }
}
