package llmsentinel;

import java.util.Arrays;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Divides what crossed from Python at once: lines of key, tab and value, with a line feed between them, become rows (key,
 * value) of bytes. Neither keys nor values hold one of the two themselves.
 */
public final class DivideLines implements FlatMapFunction<byte[], Row> {

    private static final long serialVersionUID = 1L;

    @Override
    public void flatMap(byte[] lines, Collector<Row> out) {
        int start = 0;
        int tab = -1;
        for (int at = 0; at <= lines.length; at++) {
            if (at == lines.length || lines[at] == '\n') {
                out.collect(Row.of(Arrays.copyOfRange(lines, start, tab), Arrays.copyOfRange(lines, tab + 1, at)));
                start = at + 1;
            } else if (lines[at] == '\t') {
                tab = at;
            }
        }
    }
}
