import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.core.LetterTokenizer;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.cluster.node.DiscoveryNode;
import org.elasticsearch.common.bytes.BytesArray;
import org.elasticsearch.common.bytes.BytesReference;
import org.elasticsearch.common.component.AbstractLifecycleComponent;
import org.elasticsearch.common.io.stream.NamedWriteableRegistry;
import org.elasticsearch.common.lease.Releasable;
import org.elasticsearch.common.network.NetworkService;
import org.elasticsearch.common.settings.Setting;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.common.transport.BoundTransportAddress;
import org.elasticsearch.common.transport.TransportAddress;
import org.elasticsearch.common.util.BigArrays;
import org.elasticsearch.common.util.PageCacheRecycler;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.common.xcontent.NamedXContentRegistry;
import org.elasticsearch.http.HttpInfo;
import org.elasticsearch.http.HttpServerTransport;
import org.elasticsearch.http.HttpStats;
import org.elasticsearch.index.analysis.AbstractTokenizerFactory;
import org.elasticsearch.index.analysis.PreConfiguredTokenizer;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.indices.breaker.CircuitBreakerService;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.NetworkPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.plugins.ScriptPlugin;
import org.elasticsearch.rest.AbstractRestChannel;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.script.ScriptContext;
import org.elasticsearch.script.ScriptEngine;
import org.elasticsearch.script.UpdateScript;
import org.elasticsearch.threadpool.ThreadPool;
import org.elasticsearch.transport.ConnectTransportException;
import org.elasticsearch.transport.ConnectionProfile;
import org.elasticsearch.transport.RequestHandlerRegistry;
import org.elasticsearch.transport.Transport;
import org.elasticsearch.transport.TransportMessageListener;
import org.elasticsearch.transport.TransportRequest;
import org.elasticsearch.transport.TransportStats;

/**
 * One node of Elasticsearch's core, for tests: {@code java SearchCore HOME PORT [SETTING=VALUE ...]}.
 *
 * <p>The jar holds the core only, so this adds what a distribution brings as modules: HTTP (the JDK's own server), a
 * transport that never leaves the node, and a stand-in for Painless that knows the update scripts Argilla sends. It
 * introduces itself as OpenSearch, as Argilla's Elasticsearch client refuses a server as old as this.
 */
public final class SearchCore {
  private static final String BANNER =
      "{\"name\": \"core\", \"cluster_name\": \"team-stack\", \"version\": "
          + "{\"distribution\": \"opensearch\", \"number\": \"2.4.0\"}, \"tagline\": \"Elasticsearch 7.0.0 core\"}";

  private SearchCore() {}

  /** Starts the node and stays until SIGTERM. */
  public static void main(String[] arguments) throws Exception {
    Settings.Builder settings =
        Settings.builder()
            .put("path.home", arguments[0])
            .put("node.name", "core")
            .put("cluster.name", "team-stack")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", arguments[1])
            .put("http.type", "jdk")
            .put("transport.type", "within");
    for (int number = 2; number < arguments.length; number++) {
      String[] setting = arguments[number].split("=", 2);
      settings.put(setting[0], setting[1]);
    }
    CoreNode node = new CoreNode(settings.build());
    Runtime.getRuntime().addShutdownHook(new Thread(node::closeQuietly));
    node.start();
    System.out.println("listening on 127.0.0.1:" + arguments[1]);
    new CountDownLatch(1).await();
  }

  /** A node with {@link Modules} on its class path. */
  private static final class CoreNode extends Node {
    CoreNode(Settings settings) {
      super(
          InternalSettingsPreparer.prepareEnvironment(settings, new HashMap<>(), null, () -> "core"),
          List.of(Modules.class),
          false);
    }

    void closeQuietly() {
      try {
        close();
      } catch (IOException error) {
        error.printStackTrace();
      }
    }
  }

  /** What the core lacks to be a server. */
  public static final class Modules extends Plugin implements NetworkPlugin, ScriptPlugin, AnalysisPlugin {
    @Override
    public Map<String, Supplier<Transport>> getTransports(
        Settings settings,
        ThreadPool threads,
        PageCacheRecycler pages,
        CircuitBreakerService breakers,
        NamedWriteableRegistry writeables,
        NetworkService network) {
      return Map.of("within", WithinTransport::new);
    }

    @Override
    public Map<String, Supplier<HttpServerTransport>> getHttpTransports(
        Settings settings,
        ThreadPool threads,
        BigArrays arrays,
        PageCacheRecycler pages,
        CircuitBreakerService breakers,
        NamedXContentRegistry registry,
        NetworkService network,
        HttpServerTransport.Dispatcher dispatcher) {
      int port = Integer.parseInt(settings.get("http.port"));
      return Map.of("jdk", () -> new JdkHttp(port, threads.getThreadContext(), registry, dispatcher));
    }

    @Override
    public ScriptEngine getScriptEngine(Settings settings, Collection<ScriptContext<?>> contexts) {
      return new UpdateScripts();
    }

    /** Argilla sets it on every index where the server is OpenSearch. */
    @Override
    public List<Setting<?>> getSettings() {
      return List.of(Setting.boolSetting("index.knn", false, Setting.Property.IndexScope));
    }

    /** The core's own analyzers name this tokenizer, which a distribution has in the module analysis-common. */
    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
      return Map.of(
          "lowercase",
          (index, environment, name, settings) ->
              new AbstractTokenizerFactory(index, settings) {
                @Override
                public Tokenizer create() {
                  return new LetterTokenizer();
                }
              });
    }

    @Override
    public List<PreConfiguredTokenizer> getPreConfiguredTokenizers() {
      return List.of(PreConfiguredTokenizer.singleton("lowercase", LetterTokenizer::new));
    }
  }

  /** HTTP by the JDK's server; a request's thread hands it to the core, and the core's thread writes the answer. */
  private static final class JdkHttp extends AbstractLifecycleComponent implements HttpServerTransport {
    private final int port;
    private final ThreadContext context;
    private final NamedXContentRegistry registry;
    private final Dispatcher dispatcher;
    private HttpServer server;

    JdkHttp(int port, ThreadContext context, NamedXContentRegistry registry, Dispatcher dispatcher) {
      this.port = port;
      this.context = context;
      this.registry = registry;
      this.dispatcher = dispatcher;
    }

    @Override
    protected void doStart() {
      try {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 128);
      } catch (IOException error) {
        throw new IllegalStateException("cannot listen on port " + port + ": " + error.getMessage(), error);
      }
      server.setExecutor(Executors.newCachedThreadPool());
      server.createContext("/", this::receive);
      server.start();
    }

    private void receive(HttpExchange exchange) throws IOException {
      String target = exchange.getRequestURI().toString();
      byte[] body = exchange.getRequestBody().readAllBytes();
      if (exchange.getRequestURI().getPath().equals("/")) {
        write(exchange, 200, "application/json; charset=UTF-8", BANNER.getBytes(StandardCharsets.UTF_8));
        return;
      }
      Map<String, List<String>> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
      headers.putAll(exchange.getRequestHeaders());
      if (body.length == 0) {
        headers.remove("Content-Type");
      }
      RestRequest request = new CoreRequest(registry, exchange.getRequestMethod(), target, headers, body);
      AbstractRestChannel channel =
          new AbstractRestChannel(request, true) {
            @Override
            public void sendResponse(RestResponse response) {
              // Copied before anything else: the core takes its buffers back.
              byte[] answer = BytesReference.toBytes(response.content());
              response.getHeaders().forEach((name, values) -> exchange.getResponseHeaders().put(name, values));
              try {
                write(exchange, response.status().getStatus(), response.contentType(), answer);
              } catch (IOException error) {
                exchange.close(); // the client has gone
              }
            }
          };
      try (ThreadContext.StoredContext ignored = context.stashContext()) {
        dispatcher.dispatchRequest(request, channel, context);
      }
    }

    private static void write(HttpExchange exchange, int status, String type, byte[] answer) throws IOException {
      exchange.getResponseHeaders().set("Content-Type", type);
      boolean silent = exchange.getRequestMethod().equals("HEAD") || answer.length == 0;
      exchange.sendResponseHeaders(status, silent ? -1 : answer.length);
      if (!silent) {
        exchange.getResponseBody().write(answer);
      }
      exchange.close();
    }

    @Override
    public BoundTransportAddress boundAddress() {
      TransportAddress address = new TransportAddress(InetAddress.getLoopbackAddress(), port);
      return new BoundTransportAddress(new TransportAddress[] {address}, address);
    }

    @Override
    public HttpInfo info() {
      return new HttpInfo(boundAddress(), Integer.MAX_VALUE);
    }

    @Override
    public HttpStats stats() {
      return new HttpStats(0, 0);
    }

    @Override
    protected void doStop() {
      server.stop(0);
    }

    @Override
    protected void doClose() {}
  }

  /** A request that was read whole. */
  private static final class CoreRequest extends RestRequest {
    private final Method method;
    private final String target;
    private final BytesReference body;
    private boolean consumed; // a body that no handler reads is refused

    CoreRequest(
        NamedXContentRegistry registry,
        String method,
        String target,
        Map<String, List<String>> headers,
        byte[] body) {
      super(registry, parameters(target), target.split("\\?", 2)[0], headers, null, null);
      this.method = Method.valueOf(method);
      this.target = target;
      this.body = new BytesArray(body);
    }

    private static Map<String, String> parameters(String target) {
      Map<String, String> found = new HashMap<>();
      int start = target.indexOf('?');
      if (start >= 0) {
        org.elasticsearch.rest.RestUtils.decodeQueryString(target, start + 1, found);
      }
      return found;
    }

    @Override
    public Method method() {
      return method;
    }

    @Override
    public String uri() {
      return target;
    }

    @Override
    public String rawPath() {
      return target.split("\\?", 2)[0];
    }

    @Override
    public boolean hasContent() {
      return body.length() > 0;
    }

    @Override
    public BytesReference content() {
      return content(true);
    }

    @Override
    protected BytesReference content(boolean consume) {
      consumed |= consume;
      return body;
    }

    @Override
    public boolean isContentConsumed() {
      return consumed;
    }
  }

  /** The update scripts of Argilla 2.8, told apart by what they name; any other is refused. */
  private static final class UpdateScripts implements ScriptEngine {
    private static final Pattern SUGGESTION =
        Pattern.compile("ctx\\._source\\[\"suggestions\"\\]\\.remove\\(\"([^\"]+)\"\\)");

    @Override
    public String getType() {
      return "painless";
    }

    @Override
    public <F> F compile(String name, String code, ScriptContext<F> context, Map<String, String> options) {
      if (!context.name.equals(UpdateScript.CONTEXT.name)) {
        throw new IllegalArgumentException("no scripts in context " + context.name);
      }
      Matcher suggestion = SUGGESTION.matcher(code.trim());
      boolean response = code.contains("params.response.id");
      if (!response && !suggestion.matches()) {
        throw new IllegalArgumentException("a script that this stand-in does not know: " + code);
      }
      boolean adds = code.contains("responses.add(params.response)");
      UpdateScript.Factory factory =
          (parameters, update) ->
              new UpdateScript(parameters, update) {
                @Override
                public void execute() {
                  Map<String, Object> source = map(getCtx().get("_source"));
                  if (response) {
                    replaceResponse(source, map(getParams().get("response")), adds);
                  } else if (source.get("suggestions") != null) {
                    map(source.get("suggestions")).remove(suggestion.group(1));
                  }
                }
              };
      return context.factoryClazz.cast(factory);
    }

    private static void replaceResponse(Map<String, Object> source, Map<String, Object> response, boolean adds) {
      List<Object> kept = new ArrayList<>();
      if (source.get("responses") != null) {
        for (Object one : (List<?>) source.get("responses")) {
          if (!Objects.equals(map(one).get("id"), response.get("id"))) {
            kept.add(one);
          }
        }
      }
      if (adds) {
        kept.add(response);
      }
      source.put("responses", kept);
    }

    @SuppressWarnings("unchecked") // what JSON objects become
    private static Map<String, Object> map(Object value) {
      return (Map<String, Object>) value;
    }
  }

  /** A transport for one node: it registers handlers, which the node calls directly, and connects to nobody. */
  private static final class WithinTransport extends AbstractLifecycleComponent implements Transport {
    private final Map<String, RequestHandlerRegistry<? extends TransportRequest>> handlers = new ConcurrentHashMap<>();
    private final ResponseHandlers responses = new ResponseHandlers();

    @Override
    public <R extends TransportRequest> void registerRequestHandler(RequestHandlerRegistry<R> handler) {
      handlers.put(handler.getAction(), handler);
    }

    @Override
    public RequestHandlerRegistry<? extends TransportRequest> getRequestHandler(String action) {
      return handlers.get(action);
    }

    @Override
    public void addMessageListener(TransportMessageListener listener) {}

    @Override
    public boolean removeMessageListener(TransportMessageListener listener) {
      return true;
    }

    @Override
    public BoundTransportAddress boundAddress() {
      TransportAddress address = new TransportAddress(InetAddress.getLoopbackAddress(), 9300); // never opened
      return new BoundTransportAddress(new TransportAddress[] {address}, address);
    }

    @Override
    public Map<String, BoundTransportAddress> profileBoundAddresses() {
      return Map.of();
    }

    @Override
    public TransportAddress[] addressesFromString(String address, int limit) throws UnknownHostException {
      return new TransportAddress[0];
    }

    @Override
    public List<String> getLocalAddresses() {
      return List.of();
    }

    @Override
    public Releasable openConnection(DiscoveryNode node, ConnectionProfile profile, ActionListener<Connection> listener) {
      listener.onFailure(new ConnectTransportException(node, "there is no other node"));
      return () -> {};
    }

    @Override
    public TransportStats getStats() {
      return new TransportStats(0, 0, 0, 0, 0);
    }

    @Override
    public ResponseHandlers getResponseHandlers() {
      return responses;
    }

    @Override
    protected void doStart() {}

    @Override
    protected void doStop() {}

    @Override
    protected void doClose() {}
  }
}
