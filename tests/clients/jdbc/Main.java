import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A JDBC client that a test steers: a command a line on standard input, its words percent-encoded and parted by spaces, and
 * one line of JSON for each on standard output: {"ok": ...} or {"error": ...}. It ends with its input.
 */
public final class Main {
    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        // Whatever a driver prints is not an answer.
        System.setOut(System.err);
        Commands commands = new Commands();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            List<String> words = new ArrayList<>();
            for (String word : line.split(" ")) {
                words.add(URLDecoder.decode(word, StandardCharsets.UTF_8));
            }
            out.println(Json.of(answer(commands, words)));
            out.flush();
        }
        // Threads of a driver do not keep the process.
        System.exit(0);
    }

    private static Map<String, Object> answer(Commands commands, List<String> words) {
        Map<String, Object> answer = new LinkedHashMap<>();
        try {
            answer.put("ok", commands.run(words.get(0), words.subList(1, words.size())));
        } catch (Throwable error) {
            answer.put("error", Commands.described(error));
        }
        return answer;
    }
}
