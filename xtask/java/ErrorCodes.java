import org.apache.kafka.common.errors.ApplicationRecoverableException;
import org.apache.kafka.common.errors.AuthenticationException;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidMetadataException;
import org.apache.kafka.common.errors.RefreshRetriableException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.Errors;

/** Prints what the Java client knows of each error code: number, name, and the kinds of its exception. */
public final class ErrorCodes {
    public static void main(String[] arguments) {
        for (Errors error : Errors.values()) {
            Exception exception = error.exception();
            StringBuilder kinds = new StringBuilder();
            kinds.append(exception instanceof RetriableException ? " retriable" : "");
            kinds.append(exception instanceof InvalidMetadataException ? " metadata" : "");
            kinds.append(exception instanceof RefreshRetriableException ? " refresh" : "");
            kinds.append(exception instanceof ApplicationRecoverableException ? " recoverable" : "");
            kinds.append(exception instanceof InvalidConfigurationException ? " configuration" : "");
            kinds.append(exception instanceof AuthorizationException ? " authorization" : "");
            kinds.append(exception instanceof AuthenticationException ? " authentication" : "");
            System.out.println(error.code() + " " + error.name() + kinds);
        }
    }
}
