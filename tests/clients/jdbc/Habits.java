import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What tools do besides asking queries, each on its own: its answer, or what it failed of. */
final class Habits {
    private interface Habit {
        Object of(Connection connection) throws Exception;
    }

    static Map<String, Object> all(Connection connection, String sql) {
        Map<String, Habit> habits = new LinkedHashMap<>();
        habits.put("commit", c -> {
            c.setAutoCommit(false);
            Object rows = count(c, sql);
            c.commit();
            c.rollback();
            c.setAutoCommit(true);
            return rows;
        });
        habits.put("read only", c -> {
            c.setReadOnly(true);
            return count(c, sql);
        });
        habits.put("isolation", Connection::getTransactionIsolation);
        habits.put("schema", c -> String.valueOf(c.getSchema()));
        habits.put("warnings", c -> String.valueOf(c.getWarnings()));
        habits.put("max rows", c -> {
            try (Statement statement = c.createStatement()) {
                statement.setMaxRows(2);
                statement.setFetchSize(1);
                return count(statement.executeQuery(sql));
            }
        });
        habits.put("execute", c -> {
            try (Statement statement = c.createStatement()) {
                List<Object> told = new ArrayList<>(List.of(statement.execute(sql)));
                told.add(count(statement.getResultSet()));
                told.add(statement.getMoreResults());
                told.add(statement.getUpdateCount());
                return told;
            }
        });
        habits.put("statement used again", c -> {
            try (Statement statement = c.createStatement()) {
                count(statement.executeQuery(sql));
                return count(statement.executeQuery(sql));
            }
        });
        habits.put("two at once", c -> {
            try (Statement one = c.createStatement(); Statement two = c.createStatement();
                    ResultSet left = one.executeQuery(sql); ResultSet right = two.executeQuery(sql)) {
                int rows = 0;
                while (left.next() & right.next()) {
                    rows++;
                }
                return rows;
            }
        });
        habits.put("scroll types", c -> {
            try (Statement statement = c.createStatement(ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY)) {
                return count(statement.executeQuery(sql));
            }
        });
        habits.put("by name", c -> {
            try (PreparedStatement statement = c.prepareStatement("SELECT 1 AS \"One\""); ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getInt("one") + rows.findColumn("ONE");
            }
        });
        habits.put("closed twice", c -> {
            Statement statement = c.createStatement();
            ResultSet rows = statement.executeQuery(sql);
            rows.close();
            rows.close();
            statement.close();
            statement.close();
            return statement.isClosed();
        });
        Map<String, Object> told = new LinkedHashMap<>();
        habits.forEach((name, habit) -> {
            try {
                told.put(name, habit.of(connection));
            } catch (Exception error) {
                told.put(name, error.getClass().getSimpleName() + ": " + error.getMessage());
            }
        });
        return told;
    }

    private static int count(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            return count(statement.executeQuery(sql));
        }
    }

    private static int count(ResultSet rows) throws SQLException {
        int count = 0;
        while (rows.next()) {
            count++;
        }
        return count;
    }

    private Habits() {}
}
