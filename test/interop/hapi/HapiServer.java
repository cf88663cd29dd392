import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.jpa.provider.JpaSystemProvider;
import ca.uhn.fhir.jpa.test.config.TestR4Config;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.server.IResourceProvider;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import java.util.Set;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/** HAPI's JPA server (FHIR R4) on H2 in memory, set up as HAPI's own tests set it up. Ends when its standard input does. */
public class HapiServer {
  /** A CapabilityStatement of all 145 types takes HAPI a minute. */
  private static final Set<String> TYPES =
      Set.of("Binary", "Bundle", "Device", "DiagnosticReport", "DocumentReference", "Encounter", "Observation", "Patient", "Provenance", "RiskAssessment");

  public static void main(String[] args) throws Exception {
    AnnotationConfigApplicationContext spring = new AnnotationConfigApplicationContext(TestR4Config.class);
    RestfulServer fhir = new RestfulServer(spring.getBean(FhirContext.class));
    for (Object provider : ((ResourceProviderFactory) spring.getBean("myResourceProvidersR4")).createProviders()) {
      if (provider instanceof IResourceProvider typed && TYPES.contains(typed.getResourceType().getSimpleName())) fhir.registerProvider(provider);
    }
    fhir.registerProvider(spring.getBean(JpaSystemProvider.class));
    fhir.setDefaultResponseEncoding(EncodingEnum.JSON);

    Server server = new Server();
    ServerConnector connector = new ServerConnector(server);
    connector.setHost("127.0.0.1");
    server.addConnector(connector);
    ServletContextHandler context = new ServletContextHandler("/");
    context.addServlet(new ServletHolder(fhir), "/fhir/*");
    server.setHandler(context);
    server.start();
    System.out.println("HAPI: http://127.0.0.1:" + connector.getLocalPort() + "/fhir");
    while (System.in.read() != -1) {}
    System.exit(0);
  }
}
