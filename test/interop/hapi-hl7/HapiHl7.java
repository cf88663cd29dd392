import ca.uhn.hl7v2.DefaultHapiContext;
import ca.uhn.hl7v2.HL7Exception;
import ca.uhn.hl7v2.HapiContext;
import ca.uhn.hl7v2.llp.MinLowerLayerProtocol;
import ca.uhn.hl7v2.llp.HL7Reader;
import ca.uhn.hl7v2.llp.HL7Writer;
import ca.uhn.hl7v2.model.GenericMessage;
import ca.uhn.hl7v2.model.Message;
import ca.uhn.hl7v2.validation.impl.ValidationContextFactory;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * HAPI HL7v2 as a peer. Line by line from standard input: `send PORT FILE` sends a message to 127.0.0.1 and prints its validated answer; `check FILE` validates
 * one. Beside that it takes messages on a port of its own, which it prints first, validates each, prints it and answers it. Every line that it prints is
 * `KIND STRUCTURE VERDICT TEXT`, with the message's segments apart by `\r` written as `~~`.
 */
public class HapiHl7 {
  private static final HapiContext CONTEXT = new DefaultHapiContext(ValidationContextFactory.defaultValidation());

  public static void main(String[] args) throws Exception {
    ServerSocket server = new ServerSocket(0, 10, InetAddress.getByName("127.0.0.1"));
    say("port", String.valueOf(server.getLocalPort()));
    Thread taking = new Thread(() -> take(server));
    taking.setDaemon(true);
    taking.start();
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.split(" ", 3);
      if (words[0].equals("check")) judge("checked", Files.readString(Path.of(words[1])));
      if (words[0].equals("send")) send(Integer.parseInt(words[1]), Files.readString(Path.of(words[2])));
    }
    System.exit(0);
  }

  private static void send(int port, String text) throws Exception {
    Message message = CONTEXT.getPipeParser().parse(text);
    try (Socket socket = new Socket("127.0.0.1", port)) {
      MinLowerLayerProtocol llp = new MinLowerLayerProtocol();
      llp.getWriter(socket.getOutputStream()).writeMessage(message.encode());
      judge("answer", llp.getReader(socket.getInputStream()).getMessage());
    }
  }

  private static void take(ServerSocket server) {
    while (true) {
      try (Socket socket = server.accept()) {
        MinLowerLayerProtocol llp = new MinLowerLayerProtocol();
        HL7Reader reader = llp.getReader(socket.getInputStream());
        HL7Writer writer = llp.getWriter(socket.getOutputStream());
        for (String text = reader.getMessage(); text != null; text = reader.getMessage()) {
          Message message = judge("message", text);
          if (message != null) writer.writeMessage(message.generateACK().encode());
        }
      } catch (Exception error) {
        say("closed", String.valueOf(error.getMessage()));
      }
    }
  }

  /** Parses and validates it: a message of a structure that HAPI does not know, or with what is not in it, is no good one. */
  private static Message judge(String kind, String text) {
    try {
      Message message = CONTEXT.getPipeParser().parse(text);
      boolean isKnown = !(message instanceof GenericMessage);
      String again = message.encode();
      say(kind, message.getClass().getName() + " " + (isKnown ? "valid" : "unknown-structure") + " " + again.replace("\r", "~~"));
      return message;
    } catch (HL7Exception error) {
      say(kind, "none invalid " + error.getMessage());
      return null;
    }
  }

  private static synchronized void say(String kind, String text) {
    System.out.println("HAPI " + kind + " " + text.replace("\n", " "));
    System.out.flush();
  }
}
