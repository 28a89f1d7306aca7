import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.security.token.delegation.DelegationToken;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.common.utils.Utils;
import org.apache.kafka.tools.ConsoleProducer;

/**
 * Kafka's console producer, once for each case of `cargo xtask security`, in one virtual machine.
 *
 * Arguments: plain bootstrap address, topic (which it creates), a client's file with SASL, by which it gets a delegation
 * token. Prints `TOKEN TAB ID TAB HMAC`. Then reads `NAME TAB BOOTSTRAP TAB FILE TAB MAX_BLOCK_MS`, one
 * case in a line; sends the value `java NAME` with that file as `--command-config`, and prints
 * `NAME TAB EXIT TAB MILLISECONDS TAB SAID`.
 */
public final class Security {
    /** What Kafka's tools do instead of ending the process. */
    private static final class Ended extends Error {
        final int status;

        Ended(int status) {
            super(null, null, false, false);
            this.status = status;
        }
    }

    private static final List<Runnable> HOOKS = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", arguments[0]))) {
            admin.createTopics(List.of(new NewTopic(arguments[1], 1, (short) 1))).all().get();
        }
        try (Admin admin = Admin.create(Utils.loadProps(arguments[2]))) {
            DelegationToken token = admin.createDelegationToken().delegationToken().get();
            // Not before the broker knows it, too.
            while (!admin.describeDelegationToken().delegationTokens().get().contains(token)) {
                Thread.sleep(10);
            }
            System.out.println("TOKEN\t" + token.tokenInfo().tokenId() + "\t" + token.hmacAsBase64String());
        }
        BufferedReader cases = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = System.out;
        Exit.setExitProcedure((status, message) -> {
            throw new Ended(status);
        });
        Exit.setShutdownHookAdder((name, hook) -> HOOKS.add(hook));
        for (String line = cases.readLine(); line != null; line = cases.readLine()) {
            String[] parts = line.split("\t");
            long start = System.nanoTime();
            ByteArrayOutputStream said = new ByteArrayOutputStream();
            int status = produce(parts, arguments[1], said);
            long millis = (System.nanoTime() - start) / 1_000_000;
            out.println(parts[0] + "\t" + status + "\t" + millis + "\t" + reason(said.toString(StandardCharsets.UTF_8)));
            out.flush();
        }
        // A producer that cannot close would keep the process.
        Runtime.getRuntime().halt(0);
    }

    private static int produce(String[] parts, String topic, ByteArrayOutputStream said) {
        System.setIn(new ByteArrayInputStream(("java " + parts[0] + "\n").getBytes(StandardCharsets.UTF_8)));
        PrintStream to = new PrintStream(said, true, StandardCharsets.UTF_8);
        System.setErr(to);
        System.setOut(to);
        try {
            ConsoleProducer.main(new String[] {
                "--bootstrap-server", parts[1], "--topic", topic, "--sync", "--command-config", parts[2],
                "--command-property", "max.block.ms=" + parts[3], "--command-property", "linger.ms=0"
            });
            return 0;
        } catch (Ended ended) {
            return ended.status;
        } catch (Throwable error) {
            error.printStackTrace(to);
            return 1;
        } finally {
            HOOKS.forEach(Runnable::run);
            HOOKS.clear();
        }
    }

    /** The innermost cause of a stack trace, or the first line. */
    private static String reason(String said) {
        Optional<String> cause = said.lines().filter(line -> line.startsWith("Caused by: ")).reduce((a, b) -> b);
        return cause.or(() -> said.lines().filter(line -> line.contains("xception")).findFirst())
            .or(() -> said.lines().findFirst())
            .orElse("");
    }
}
