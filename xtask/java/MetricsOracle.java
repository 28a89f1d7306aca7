import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.metrics.MetricConfig;
import org.apache.kafka.common.metrics.stats.Avg;
import org.apache.kafka.common.metrics.stats.CumulativeSum;
import org.apache.kafka.common.metrics.stats.Max;
import org.apache.kafka.common.metrics.stats.Rate;

/**
 * What Kafka's own statistics make of values.
 *
 * A line of standard input is `WINDOW_MS SAMPLES OPERATION...`, an operation `r:MILLISECONDS:VALUE` to record or
 * `m:MILLISECONDS` to measure. The answer is a line with `rate,average,maximum,total` for each measuring.
 */
class MetricsOracle {
    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        String line;
        while ((line = input.readLine()) != null) {
            System.out.println(answer(line.split(" ")));
        }
    }

    private static String answer(String[] words) {
        MetricConfig config = new MetricConfig()
            .timeWindow(Long.parseLong(words[0]), TimeUnit.MILLISECONDS)
            .samples(Integer.parseInt(words[1]));
        Rate rate = new Rate();
        Avg average = new Avg();
        Max maximum = new Max();
        CumulativeSum total = new CumulativeSum();
        StringBuilder answer = new StringBuilder();
        for (int at = 2; at < words.length; at++) {
            String[] parts = words[at].split(":");
            long now = Long.parseLong(parts[1]);
            if (parts[0].equals("r")) {
                double value = Double.parseDouble(parts[2]);
                rate.record(config, value, now);
                average.record(config, value, now);
                maximum.record(config, value, now);
                total.record(config, value, now);
            } else {
                answer.append(answer.length() == 0 ? "" : " ")
                    .append(rate.measure(config, now)).append(',')
                    .append(average.measure(config, now)).append(',')
                    .append(maximum.measure(config, now)).append(',')
                    .append(total.measure(config, now));
            }
        }
        return answer.toString();
    }
}
