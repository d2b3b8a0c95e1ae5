package llmsentinel;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * Groups lines that crossed from Python at once by one of the texts they begin with: rows (lines, time) become rows (key,
 * values), one for each key. A line is some texts, each with a tab behind it, and a value; there is a line feed between
 * lines and between values. Lines whose key is empty are left out.
 */
public final class LinesByKey implements FlatMapFunction<Row, Row> {

    private static final long serialVersionUID = 1L;

    private final int keyAt;
    private final int texts;

    /**
     * @param keyAt which of the texts is the key, counted from 0
     * @param texts how many a line begins with
     */
    public LinesByKey(int keyAt, int texts) {
        this.keyAt = keyAt;
        this.texts = texts;
    }

    @Override
    public void flatMap(Row row, Collector<Row> out) {
        byte[] lines = (byte[]) row.getField(0);
        Map<String, ByteArrayOutputStream> values = new LinkedHashMap<>();
        int start = 0;
        while (start < lines.length) {
            String key = "";
            for (int text = 0; text < texts; text++) {
                int tab = next(lines, start, '\t');
                if (text == keyAt) {
                    key = new String(lines, start, tab - start, StandardCharsets.UTF_8);
                }
                start = tab + 1;
            }
            int end = next(lines, start, '\n');
            if (!key.isEmpty()) {
                ByteArrayOutputStream own = values.computeIfAbsent(key, any -> new ByteArrayOutputStream());
                if (own.size() > 0) {
                    own.write('\n');
                }
                own.write(lines, start, end - start);
            }
            start = end + 1;
        }
        values.forEach((key, own) -> out.collect(Row.of(key, own.toByteArray())));
    }

    /** Returns where a byte stands next, or the end. */
    private static int next(byte[] lines, int from, char wanted) {
        int at = from;
        while (at < lines.length && lines[at] != wanted) {
            at++;
        }
        return at;
    }
}
