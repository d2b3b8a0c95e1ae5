package llmsentinel;

import org.apache.flink.api.common.typeinfo.TypeHint;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.tuple.Tuple4;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.util.Collector;

/**
 * Takes records from Kafka undecoded: partition, offset, when the broker took it (ms, negative if it does not say), and
 * value. A tombstone has no bytes, like an empty value.
 */
public final class TelemetryRecords
        implements KafkaRecordDeserializationSchema<Tuple4<Integer, Long, Long, byte[]>> {

    private static final long serialVersionUID = 1L;
    private static final byte[] NOTHING = {};

    @Override
    public void deserialize(
            ConsumerRecord<byte[], byte[]> record, Collector<Tuple4<Integer, Long, Long, byte[]>> out) {
        byte[] value = record.value() == null ? NOTHING : record.value();
        out.collect(Tuple4.of(record.partition(), record.offset(), record.timestamp(), value));
    }

    @Override
    public TypeInformation<Tuple4<Integer, Long, Long, byte[]>> getProducedType() {
        return TypeInformation.of(new TypeHint<Tuple4<Integer, Long, Long, byte[]>>() {});
    }
}
