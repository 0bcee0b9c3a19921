import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Time;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** What the client can be told to do. */
final class Commands {
    /** A word that stands for null, since words cannot be absent. */
    private static final String NULL = "\0";

    private final Map<String, Connection> connections = new HashMap<>();

    Object run(String command, List<String> words) throws Exception {
        if (command.equals("open")) {
            return open(words.get(0), words.get(1), words.subList(2, words.size()));
        }
        Connection connection = connections.get(words.get(0));
        List<String> rest = words.subList(1, words.size());
        switch (command) {
            case "close":
                connections.remove(words.get(0)).close();
                return true;
            case "rows":
                return rows(connection, rest.get(0));
            case "strings":
                return plain(connection, rest.get(0), ResultSet::getString);
            case "objects":
                return plain(connection, rest.get(0), (result, at) -> Values.written(result.getObject(at)));
            case "prepared":
                return prepared(connection, rest.get(0), rest.subList(1, rest.size()));
            case "describe":
                return describe(connection, rest.get(0));
            case "update":
                return update(connection, rest.get(0));
            case "metadata":
                return metadata(connection.getMetaData(), rest.get(0), rest.subList(1, rest.size()));
            case "cancel":
                return cancel(connection, rest.get(0), Long.parseLong(rest.get(1)));
            case "timeout":
                return timeout(connection, rest.get(0), Integer.parseInt(rest.get(1)));
            case "abandon":
                return abandon(connection, rest.get(0), Integer.parseInt(rest.get(1)));
            case "begin":
                return begin(connection, rest.get(0));
            case "habits":
                return Habits.all(connection, rest.get(0));
            case "valid":
                return connection.isValid(10);
            case "catalog":
                if (!rest.isEmpty()) {
                    connection.setCatalog(rest.get(0));
                }
                return connection.getCatalog();
            default:
                throw new IllegalArgumentException("no command " + command);
        }
    }

    private Object open(String name, String url, List<String> properties) throws SQLException {
        Properties all = new Properties();
        for (String property : properties) {
            String[] pair = property.split("=", 2);
            all.setProperty(pair[0], pair[1]);
        }
        Connection connection = DriverManager.getConnection(url, all);
        connections.put(name, connection);
        return connection.getMetaData().getDriverVersion();
    }

    private static Object rows(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet result = statement.executeQuery(sql)) {
            return table(result);
        }
    }

    private interface Getter {
        Object of(ResultSet result, int at) throws SQLException;
    }

    /** What tools get that ask for every value in one way. */
    private static Object plain(Connection connection, String sql, Getter getter) throws SQLException {
        List<Object> rows = new ArrayList<>();
        try (Statement statement = connection.createStatement(); ResultSet result = statement.executeQuery(sql)) {
            while (result.next()) {
                List<Object> row = new ArrayList<>();
                for (int at = 1; at <= result.getMetaData().getColumnCount(); at++) {
                    Object value = getter.of(result, at);
                    row.add(result.wasNull() ? null : value);
                }
                rows.add(row);
            }
        }
        return rows;
    }

    /** One statement, executed once for each group of parameters; groups end with `;`. */
    private static Object prepared(Connection connection, String sql, List<String> parameters) throws SQLException {
        List<Object> results = new ArrayList<>();
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            int at = 1;
            for (String parameter : parameters) {
                if (!parameter.equals(";")) {
                    set(statement, at++, parameter);
                    continue;
                }
                try (ResultSet result = statement.executeQuery()) {
                    results.add(table(result));
                }
                at = 1;
            }
        }
        return results;
    }

    private static void set(PreparedStatement statement, int at, String parameter) throws SQLException {
        String[] pair = parameter.split(":", 2);
        String text = pair[1];
        switch (pair[0]) {
            case "null" -> statement.setNull(at, type(text));
            case "boolean" -> statement.setBoolean(at, Boolean.parseBoolean(text));
            case "int" -> statement.setInt(at, Integer.parseInt(text));
            case "long" -> statement.setLong(at, Long.parseLong(text));
            case "double" -> statement.setDouble(at, Double.parseDouble(text));
            case "decimal" -> statement.setBigDecimal(at, new BigDecimal(text));
            case "string" -> statement.setString(at, text);
            case "bytes" -> statement.setBytes(at, text.getBytes(java.nio.charset.StandardCharsets.UTF_8));
            case "date" -> statement.setDate(at, Date.valueOf(text));
            case "time" -> statement.setTime(at, Time.valueOf(text));
            case "timestamp" -> statement.setTimestamp(at, Timestamp.valueOf(text));
            case "object" -> statement.setObject(at, text);
            default -> throw new IllegalArgumentException("no parameter " + pair[0]);
        }
    }

    private static int type(String name) {
        try {
            return Types.class.getField(name).getInt(null);
        } catch (ReflectiveOperationException error) {
            throw new IllegalArgumentException("no type " + name, error);
        }
    }

    private static Object describe(Connection connection, String sql) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            List<Object> parameters = new ArrayList<>();
            ParameterMetaData known = statement.getParameterMetaData();
            for (int at = 1; at <= known.getParameterCount(); at++) {
                parameters.add(known.getParameterTypeName(at));
            }
            Map<String, Object> described = new LinkedHashMap<>();
            described.put("columns", columns(statement.getMetaData()));
            described.put("parameters", parameters);
            return described;
        }
    }

    private static Object update(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            boolean rows = statement.execute(sql);
            return rows ? table(statement.getResultSet()) : Long.valueOf(statement.getUpdateCount());
        }
    }

    /** A method of DatabaseMetaData by its name: its rows, or its value. */
    private static Object metadata(DatabaseMetaData metadata, String name, List<String> words) throws Exception {
        for (Method method : DatabaseMetaData.class.getMethods()) {
            if (!method.getName().equals(name) || method.getParameterCount() != words.size()) {
                continue;
            }
            Object[] arguments = new Object[words.size()];
            for (int at = 0; at < arguments.length; at++) {
                arguments[at] = argument(method.getParameterTypes()[at], words.get(at));
            }
            try {
                Object answer = method.invoke(metadata, arguments);
                if (answer instanceof ResultSet result) {
                    try (result) {
                        return table(result);
                    }
                }
                return answer;
            } catch (InvocationTargetException error) {
                throw (Exception) error.getCause();
            }
        }
        throw new IllegalArgumentException("no method " + name);
    }

    private static Object argument(Class<?> type, String word) {
        if (word.equals(NULL)) {
            return null;
        } else if (type == String[].class) {
            return word.split(",");
        } else if (type == boolean.class) {
            return Boolean.valueOf(word);
        }
        return type == int.class ? Integer.valueOf(word) : (Object) word;
    }

    /** Cancels from another thread until it is heard: a statement that has no stream yet takes no notice. */
    private static Object cancel(Connection connection, String sql, long afterMs) {
        ScheduledExecutorService other = Executors.newSingleThreadScheduledExecutor();
        try {
            return ended(() -> {
                try (Statement statement = connection.createStatement()) {
                    other.scheduleWithFixedDelay(() -> {
                        try {
                            statement.cancel();
                        } catch (SQLException error) {
                            throw new IllegalStateException(error);
                        }
                    }, afterMs, 250, TimeUnit.MILLISECONDS);
                    drain(statement, sql);
                }
            });
        } finally {
            other.shutdownNow();
        }
    }

    private static Object timeout(Connection connection, String sql, int seconds) {
        return ended(() -> {
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(seconds);
                drain(statement, sql);
            }
        });
    }

    /** Reads a few rows of many, and closes. */
    private static Object abandon(Connection connection, String sql, int rows) {
        return ended(() -> {
            try (Statement statement = connection.createStatement(); ResultSet result = statement.executeQuery(sql)) {
                for (int row = 0; row < rows; row++) {
                    result.next();
                }
            }
        });
    }

    /** Runs a statement to its end, whatever that is. */
    private static Object begin(Connection connection, String sql) {
        return ended(() -> {
            try (Statement statement = connection.createStatement()) {
                drain(statement, sql);
            }
        });
    }

    private static void drain(Statement statement, String sql) throws SQLException {
        try (ResultSet result = statement.executeQuery(sql)) {
            while (result.next()) {
                result.getObject(1);
            }
        }
    }

    private interface Work {
        void run() throws Exception;
    }

    /** How some work ended, and after how long. */
    private static Object ended(Work work) {
        Map<String, Object> told = new LinkedHashMap<>();
        long begun = System.nanoTime();
        try {
            work.run();
            told.put("error", null);
        } catch (Throwable error) {
            told.put("error", described(error));
        }
        told.put("elapsed_ms", (System.nanoTime() - begun) / 1_000_000);
        return told;
    }

    private static Object table(ResultSet result) throws SQLException {
        ResultSetMetaData metadata = result.getMetaData();
        List<Object> rows = new ArrayList<>();
        while (result.next()) {
            List<Object> row = new ArrayList<>();
            for (int at = 1; at <= metadata.getColumnCount(); at++) {
                // Version 18 cannot give an instant as a plain object.
                boolean instant = metadata.getColumnType(at) == Types.TIMESTAMP_WITH_TIMEZONE;
                Object value = instant ? result.getObject(at, OffsetDateTime.class) : result.getObject(at);
                if ((value == null) != result.wasNull()) {
                    throw new IllegalStateException("wasNull of column " + at + " is " + result.wasNull() + " at " + value);
                }
                row.add(Values.written(value));
            }
            rows.add(row);
        }
        Map<String, Object> table = new LinkedHashMap<>();
        table.put("columns", columns(metadata));
        table.put("rows", rows);
        return table;
    }

    private static List<Object> columns(ResultSetMetaData metadata) throws SQLException {
        List<Object> columns = new ArrayList<>();
        for (int at = 1; at <= metadata.getColumnCount(); at++) {
            Map<String, Object> column = new LinkedHashMap<>();
            column.put("name", metadata.getColumnName(at));
            column.put("label", metadata.getColumnLabel(at));
            column.put("type", metadata.getColumnTypeName(at));
            column.put("precision", metadata.getPrecision(at));
            column.put("scale", metadata.getScale(at));
            column.put("nullable", metadata.isNullable(at));
            column.put("size", metadata.getColumnDisplaySize(at));
            columns.add(column);
        }
        return columns;
    }

    static Map<String, Object> described(Throwable error) {
        List<Object> causes = new ArrayList<>();
        for (Throwable cause = error; cause != null && causes.size() < 8; cause = cause.getCause()) {
            causes.add(cause.getClass().getName() + ": " + cause.getMessage());
        }
        Map<String, Object> told = new LinkedHashMap<>();
        told.put("message", String.valueOf(error.getMessage()));
        told.put("state", error instanceof SQLException sql ? sql.getSQLState() : null);
        told.put("causes", causes);
        return told;
    }
}
