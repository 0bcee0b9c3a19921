package org.apache.iceberg.rest;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.function.Consumer;
import org.apache.iceberg.CatalogUtil;
import org.apache.iceberg.catalog.Catalog;
import org.apache.iceberg.rest.credentials.ImmutableCredential;
import org.apache.iceberg.rest.responses.ErrorResponse;
import org.apache.iceberg.rest.responses.LoadTableResponse;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.http.UriCompliance;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;

/**
 * Iceberg's own REST catalog over its JDBC catalog. Storage credentials are those that a file holds when a table is loaded.
 *
 * <p>Arguments: a file of the catalog's properties, a file of credentials, a port. Prints its URL once it answers.
 */
public final class CatalogServer extends RESTCatalogAdapter {
  private final Path vended;

  private CatalogServer(Catalog catalog, Path vended) {
    super(catalog);
    this.vended = vended;
  }

  @Override
  protected <T extends RESTResponse> T execute(
      HTTPRequest request,
      Class<T> type,
      Consumer<ErrorResponse> onError,
      Consumer<Map<String, String>> headers) {
    T response = super.execute(request, type, onError, headers);
    boolean asked = !request.headers().entries("X-Iceberg-Access-Delegation").isEmpty();
    if (!asked || !(response instanceof LoadTableResponse)) {
      return response;
    }
    LoadTableResponse told = (LoadTableResponse) response;
    Map<String, String> given = read(vended);
    ImmutableCredential credential =
        ImmutableCredential.builder().prefix(told.tableMetadata().location()).config(given).build();
    return type.cast(
        LoadTableResponse.builder()
            .withTableMetadata(told.tableMetadata())
            .addAllConfig(told.config())
            // For clients that know no list of credentials.
            .addAllConfig(given)
            .addCredential(credential)
            .build());
  }

  private static Map<String, String> read(Path file) {
    Properties properties = new Properties();
    try (InputStream content = Files.newInputStream(file)) {
      properties.load(content);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
    Map<String, String> values = new HashMap<>();
    properties.stringPropertyNames().forEach(name -> values.put(name, properties.getProperty(name)));
    return values;
  }

  public static void main(String[] arguments) throws Exception {
    Catalog catalog = CatalogUtil.buildIcebergCatalog("lake", read(Path.of(arguments[0])), null);
    RESTCatalogServlet servlet = new RESTCatalogServlet(new CatalogServer(catalog, Path.of(arguments[1])));
    ServletContextHandler context = new ServletContextHandler();
    context.addServlet(new ServletHolder(servlet), "/*");
    Server server = new Server();
    // The levels of a namespace are separated by a control character.
    HttpConfiguration configuration = new HttpConfiguration();
    configuration.setUriCompliance(UriCompliance.UNSAFE);
    context.getServletHandler().setDecodeAmbiguousURIs(true);
    ServerConnector connector = new ServerConnector(server, new HttpConnectionFactory(configuration));
    connector.setHost("127.0.0.1");
    connector.setPort(Integer.parseInt(arguments[2]));
    server.addConnector(connector);
    server.setHandler(context);
    server.start();
    System.out.println("http://127.0.0.1:" + connector.getLocalPort());
    System.out.flush();
    server.join();
  }
}
