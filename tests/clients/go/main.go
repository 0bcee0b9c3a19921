// A Go client of ADBC that a test steers: a command a line on standard input, its words percent-encoded and parted by spaces, and
// one line of JSON for each on standard output: {"ok": ...} or {"error": ...}. It ends with its input.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/apache/arrow-adbc/go/adbc"
	"github.com/apache/arrow-adbc/go/adbc/driver/flightsql"
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A word that stands for null, since words cannot be absent.
const null = "\x00"

type client struct {
	database   adbc.Database
	connection adbc.Connection
}

var clients = map[string]client{}

func main() {
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var words []string
		for _, word := range strings.Split(in.Text(), " ") {
			decoded, err := url.QueryUnescape(word)
			if err != nil {
				panic(err)
			}
			words = append(words, decoded)
		}
		answer := map[string]any{}
		if value, err := run(words[0], words[1:]); err != nil {
			answer["error"] = described(err)
		} else {
			answer["ok"] = value
		}
		if err := out.Encode(answer); err != nil {
			panic(err)
		}
	}
}

func run(command string, words []string) (any, error) {
	ctx := context.Background()
	if command == "open" {
		return open(ctx, words[0], words[1:])
	}
	client, rest := clients[words[0]], words[1:]
	if client.connection == nil {
		return nil, fmt.Errorf("no connection %s", words[0])
	}
	switch command {
	case "close":
		delete(clients, words[0])
		return true, errors.Join(client.connection.Close(), client.database.Close())
	case "rows":
		return rows(ctx, client.connection, rest[0])
	case "prepared":
		return prepared(ctx, client.connection, rest[0], rest[1:])
	case "objects":
		depth, err := strconv.Atoi(rest[0])
		if err != nil {
			return nil, err
		}
		reader, err := client.connection.GetObjects(
			ctx, adbc.ObjectDepth(depth), pattern(rest[1]), pattern(rest[2]), pattern(rest[3]), nil, nil)
		return table(reader, err)
	case "schema":
		schema, err := client.connection.GetTableSchema(ctx, pattern(rest[0]), pattern(rest[1]), rest[2])
		if err != nil {
			return nil, err
		}
		return columns(schema), nil
	case "info":
		reader, err := client.connection.GetInfo(ctx, nil)
		return table(reader, err)
	case "tabletypes":
		reader, err := client.connection.GetTableTypes(ctx)
		return table(reader, err)
	case "option":
		options := client.connection.(adbc.GetSetOptions)
		if len(rest) > 1 {
			if err := options.SetOption(rest[0], rest[1]); err != nil {
				return nil, err
			}
		}
		return options.GetOption(rest[0])
	case "cancel":
		afterMs, err := strconv.Atoi(rest[1])
		if err != nil {
			return nil, err
		}
		cancelled, cancel := context.WithTimeout(ctx, time.Duration(afterMs)*time.Millisecond)
		defer cancel()
		return ended(func() error { return drain(cancelled, client.connection, rest[0]) }), nil
	case "abandon":
		return ended(func() error { return abandon(ctx, client.connection, rest[0]) }), nil
	case "begin":
		return ended(func() error { return drain(ctx, client.connection, rest[0]) }), nil
	}
	return nil, fmt.Errorf("no command %s", command)
}

func open(ctx context.Context, name string, pairs []string) (any, error) {
	options := map[string]string{}
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		options[key] = value
	}
	database, err := flightsql.NewDriver(memory.DefaultAllocator).NewDatabase(options)
	if err != nil {
		return nil, err
	}
	connection, err := database.Open(ctx)
	if err != nil {
		return nil, err
	}
	clients[name] = client{database, connection}
	return true, nil
}

func statement(connection adbc.Connection, sql string) (adbc.Statement, error) {
	statement, err := connection.NewStatement()
	if err != nil {
		return nil, err
	}
	return statement, statement.SetSqlQuery(sql)
}

func rows(ctx context.Context, connection adbc.Connection, sql string) (any, error) {
	statement, err := statement(connection, sql)
	if err != nil {
		return nil, err
	}
	defer statement.Close()
	reader, _, err := statement.ExecuteQuery(ctx)
	return table(reader, err)
}

// One statement, executed once for each group of parameters; groups end with `;`.
func prepared(ctx context.Context, connection adbc.Connection, sql string, parameters []string) (any, error) {
	statement, err := statement(connection, sql)
	if err != nil {
		return nil, err
	}
	defer statement.Close()
	if err := statement.Prepare(ctx); err != nil {
		return nil, err
	}
	results, values := []any{}, []arrow.Array{}
	for _, parameter := range parameters {
		if parameter != ";" {
			value, err := one(parameter)
			if err != nil {
				return nil, err
			}
			values = append(values, value)
			continue
		}
		var fields []arrow.Field
		for at, value := range values {
			fields = append(fields, arrow.Field{Name: strconv.Itoa(at), Type: value.DataType(), Nullable: true})
		}
		batch := array.NewRecordBatch(arrow.NewSchema(fields, nil), values, 1)
		if err := statement.Bind(ctx, batch); err != nil {
			return nil, err
		}
		reader, _, err := statement.ExecuteQuery(ctx)
		result, err := table(reader, err)
		if err != nil {
			return nil, err
		}
		results, values = append(results, result), nil
	}
	return results, nil
}

// A column of one value: `int64:5`, `string:x`, `null:`.
func one(parameter string) (arrow.Array, error) {
	kind, text, _ := strings.Cut(parameter, ":")
	switch kind {
	case "int64":
		builder := array.NewInt64Builder(memory.DefaultAllocator)
		err := builder.AppendValueFromString(text)
		return builder.NewArray(), err
	case "string":
		builder := array.NewStringBuilder(memory.DefaultAllocator)
		builder.Append(text)
		return builder.NewArray(), nil
	case "null":
		return array.NewNull(1), nil
	}
	return nil, fmt.Errorf("no parameter %s", kind)
}

func drain(ctx context.Context, connection adbc.Connection, sql string) error {
	statement, err := statement(connection, sql)
	if err != nil {
		return err
	}
	defer statement.Close()
	reader, _, err := statement.ExecuteQuery(ctx)
	if err != nil {
		return err
	}
	defer reader.Release()
	for reader.Next() {
	}
	return reader.Err()
}

// Reads one batch of many, and closes.
func abandon(ctx context.Context, connection adbc.Connection, sql string) error {
	statement, err := statement(connection, sql)
	if err != nil {
		return err
	}
	reader, _, err := statement.ExecuteQuery(ctx)
	if err != nil {
		return err
	}
	reader.Next()
	reader.Release()
	return statement.Close()
}

func ended(work func() error) any {
	begun, told := time.Now(), map[string]any{"error": nil}
	if err := work(); err != nil {
		told["error"] = described(err)
	}
	told["elapsed_ms"] = time.Since(begun).Milliseconds()
	return told
}

func pattern(word string) *string {
	if word == null {
		return nil
	}
	return &word
}

func described(err error) map[string]any {
	told := map[string]any{"message": err.Error(), "code": ""}
	var of adbc.Error
	if errors.As(err, &of) {
		told["code"] = of.Code.String()
	}
	return told
}

// All rows of a reader, which is released.
func table(reader array.RecordReader, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	defer reader.Release()
	rows := [][]any{}
	for reader.Next() {
		batch := reader.RecordBatch()
		for at := range int(batch.NumRows()) {
			row := make([]any, batch.NumCols())
			for column := range row {
				row[column] = written(batch.Column(column), at)
			}
			rows = append(rows, row)
		}
	}
	return map[string]any{"columns": columns(reader.Schema()), "rows": rows}, reader.Err()
}

func columns(schema *arrow.Schema) []any {
	columns := []any{}
	for _, field := range schema.Fields() {
		columns = append(columns, map[string]any{"name": field.Name, "type": field.Type.String(), "nullable": field.Nullable})
	}
	return columns
}
