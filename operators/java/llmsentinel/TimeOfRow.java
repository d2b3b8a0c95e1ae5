package llmsentinel;

import org.apache.flink.api.common.eventtime.SerializableTimestampAssigner;
import org.apache.flink.types.Row;

/** Takes the event time of a row from one of its fields, milliseconds since the epoch. */
public final class TimeOfRow implements SerializableTimestampAssigner<Row> {

    private static final long serialVersionUID = 1L;

    private final int field;

    public TimeOfRow(int field) {
        this.field = field;
    }

    @Override
    public long extractTimestamp(Row row, long recordTimestamp) {
        return (Long) row.getField(field);
    }
}
