package localcloud.unity;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.net.URLEncoder;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.azurebfs.extensions.SASTokenProvider;
import org.apache.hadoop.security.AccessControlException;

/**
 * Gives ABFS a SAS for each path and operation, as Databricks' clusters do: asks the workspace's Unity Catalog with the
 * secret of this run. It keeps nothing, so that ABFS has no further SAS once a grant is taken away or the run is over.
 * A SAS that was given before that stays valid to its end, which is at most 15 minutes later.
 */
public class VendedSas implements SASTokenProvider {
    private String endpoint;
    private String secret;

    public void initialize(Configuration configuration, String accountName) throws IOException {
        endpoint = configuration.get("fs.localcloud.unity.endpoint");
        secret = configuration.get("fs.localcloud.unity.secret");
        if (endpoint == null || secret == null) {
            throw new IOException("fs.localcloud.unity.endpoint and fs.localcloud.unity.secret are not set.");
        }
    }

    public String getSASToken(String account, String fileSystem, String path, String operation) throws IOException {
        String form = "account=" + encoded(account) + "&container=" + encoded(fileSystem) + "&path=" + encoded(path)
            + "&operation=" + encoded(operation);
        HttpURLConnection connection = (HttpURLConnection) new URL(endpoint).openConnection();
        connection.setRequestMethod("POST");
        connection.setRequestProperty("Authorization", "Bearer " + secret);
        connection.setRequestProperty("Content-Type", "application/x-www-form-urlencoded");
        connection.setConnectTimeout(10000);
        connection.setReadTimeout(60000);
        connection.setDoOutput(true);
        connection.getOutputStream().write(form.getBytes("UTF-8"));
        int status = connection.getResponseCode();
        String answer = text(status < 400 ? connection.getInputStream() : connection.getErrorStream());
        if (status == 200) {
            return answer;
        }
        if (status == 401 || status == 403) {
            throw new AccessControlException(answer);
        }
        throw new IOException(answer);
    }

    private static String encoded(String value) throws IOException {
        return URLEncoder.encode(value, "UTF-8");
    }

    private static String text(InputStream stream) throws IOException {
        if (stream == null) {
            return "";
        }
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        byte[] buffer = new byte[8192];
        int count = stream.read(buffer);
        while (count >= 0) {
            content.write(buffer, 0, count);
            count = stream.read(buffer);
        }
        return content.toString("UTF-8");
    }
}
