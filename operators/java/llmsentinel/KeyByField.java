package llmsentinel;

import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/** Puts a text field of a row before it as its key, (key, row); rows in which it is empty are left out. */
public final class KeyByField implements FlatMapFunction<Row, Row> {

    private static final long serialVersionUID = 1L;

    private final int field;

    public KeyByField(int field) {
        this.field = field;
    }

    @Override
    public void flatMap(Row row, Collector<Row> out) {
        String key = (String) row.getField(field);
        if (!key.isEmpty()) {
            out.collect(Row.of(key, row));
        }
    }
}
