//go:build unix

package supervise_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/batonhost/baton-host/host/internal/supervise"
)

// content is a file with this content.
func content(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "content")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// said is what the log has of a plugin that wrote a text in this way, without
// its last line.
func said(t *testing.T, way, text string) []observer.LoggedEntry {
	t.Helper()
	ctx, logs := logged(t)
	process := started(t, ctx, spec(way+":"+content(t, text)))
	require.NoError(t, validate(ctx, process))
	awaitLine(t, logs, "the last line")
	var entries []observer.LoggedEntry
	for _, entry := range logs.All() {
		own := entry.ContextMap()["pid"] != nil && entry.Message != "plugin started"
		if own && !strings.HasPrefix(entry.Message, "the last line") && entry.LoggerName == "" && !isOfTheSDK(entry) {
			entries = append(entries, entry)
		}
	}
	return entries
}

// isOfTheSDK says that the SDK in the plugin wrote the line by itself.
func isOfTheSDK(entry observer.LoggedEntry) bool {
	fields, _ := entry.ContextMap()["fields"].(map[string]any)
	_, hasCaller := fields["caller"]
	return hasCaller
}

func TestLog_UnderstandsALineAsFarAsPossible(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 10000)
	for name, c := range map[string]struct {
		text    string
		level   zapcore.Level
		message string // the beginning of it
		fields  map[string]any
		cut     bool
	}{
		"zap":                       {`{"level":"warn","ts":1.5,"msg":"hello","n":12345678901234567890,"s":"x"}`, zap.WarnLevel, "hello", map[string]any{"n": json.Number("12345678901234567890"), "s": "x"}, false},
		"zap's worst":               {`{"level":"fatal","msg":"the end"}`, zap.ErrorLevel, "the end", nil, false},
		"slog":                      {`{"time":"2026-01-02T03:04:05Z","level":"ERROR","msg":"hello"}`, zap.ErrorLevel, "hello", nil, false},
		"hclog":                     {`{"@level":"debug","@message":"hello","@module":"m","@timestamp":"x"}`, zap.DebugLevel, "hello", map[string]any{"@module": "m"}, false},
		"hclog's trace":             {`{"@level":"trace","@message":"hello"}`, zap.DebugLevel, "hello", nil, false},
		"another library":           {`{"severity":"x","message":"hello","level":"WARNING"}`, zap.WarnLevel, "hello", map[string]any{"severity": "x"}, false},
		"two messages":              {`{"msg":"hello","message":"and more"}`, zap.InfoLevel, "hello", map[string]any{"message": "and more"}, false},
		"nested fields":             {`{"msg":"hello","a":{"b":[1,null,true,{"c":"d"}]}}`, zap.InfoLevel, "hello", map[string]any{"a": map[string]any{"b": []any{json.Number("1"), nil, true, map[string]any{"c": "d"}}}}, false},
		"a password made up":        {`{"msg":"hello","password":"p1","newPassword":"p2","api_key":7,"user":{"Client-Secret":["p3"]},"has_password":true,"page_token":"p4"}`, zap.InfoLevel, "hello", map[string]any{"password": "(secret)", "newPassword": "(secret)", "api_key": "(secret)", "user": map[string]any{"Client-Secret": "(secret)"}, "has_password": true, "page_token": "p4"}, false},
		"gRPC of itself":            {`{"level":"info","msg":"[core][Server #1] Server created"}`, zap.DebugLevel, "[core]", nil, false},
		"gRPC in trouble":           {`{"level":"warn","msg":"[core] no address"}`, zap.WarnLevel, "[core]", nil, false},
		"the end of a call":         {`{"level":"error","msg":"finished unary call with code Unknown","error":"x"}`, zap.DebugLevel, "finished unary call", nil, false},
		"the end of a stream":       {`{"level":"warn","msg":"finished stream call with code Unavailable"}`, zap.DebugLevel, "finished stream call", nil, false},
		"plain text":                {"hello there", zap.InfoLevel, "hello there", nil, false},
		"carriage return":           {"hello\r", zap.InfoLevel, "hello", nil, false},
		"a message that is none":    {`{"@message":1}`, zap.InfoLevel, `{"@message":1}`, nil, false},
		"no message":                {`{"@level":"error"}`, zap.InfoLevel, `{"@level":"error"}`, nil, false},
		"a level that is none":      {`{"@level":{},"@message":"hello"}`, zap.InfoLevel, "hello", map[string]any{"@level": map[string]any{}}, false},
		"a level as a number":       {`{"level":30,"msg":"hello"}`, zap.InfoLevel, "hello", map[string]any{"level": json.Number("30")}, false},
		"an unknown level":          {`{"level":"loud","msg":"hello"}`, zap.InfoLevel, "hello", nil, false},
		"the same key twice":        {`{"msg":"first","msg":"second","level":"warn","level":"error"}`, zap.ErrorLevel, "second", nil, false},
		"fields like the host's":    {`{"msg":"hello","plugin":"other","pid":1}`, zap.InfoLevel, "hello", map[string]any{"plugin": "other", "pid": json.Number("1")}, false},
		"JSON that breaks off":      {`{"msg":"hel`, zap.InfoLevel, `{"msg":"hel`, nil, false},
		"more than JSON":            {`{"msg":"hello"} {"msg":"again"}`, zap.InfoLevel, `{"msg":"hello"} {"msg":"again"}`, nil, false},
		"JSON that is no object":    {`["hello"]`, zap.InfoLevel, `["hello"]`, nil, false},
		"10,000 brackets":           {deep, zap.InfoLevel, deep, nil, false},
		"10,000 brackets, a field":  {`{"msg":"hello","a":` + deep, zap.InfoLevel, `{"msg":"hello","a":[[`, nil, false},
		"7,000 lists in each other": {`{"msg":"hello","a":` + strings.Repeat("[", 7000) + strings.Repeat("]", 7000) + `}`, zap.InfoLevel, "hello", nil, false},
		"a megabyte":                {strings.Repeat("y", 1<<20), zap.InfoLevel, "yyyy", nil, true},
		"a megabyte of JSON":        {`{"msg":"` + strings.Repeat("x", 1<<20) + `"}`, zap.InfoLevel, `{"msg":"xxx`, nil, true},
		"binary":                    {"\x00\xff\xfe\x01", zap.InfoLevel, `\x00` + "\ufffd" + `\x01`, nil, false},
		"commands for a terminal":   {"\x1b[2J\x1b]0;title\x07 \u009b31m \u202eback", zap.InfoLevel, `\x1b[2J\x1b]0;title\a \u009b31m \u202eback`, nil, false},
		"commands in JSON":          {`{"msg":"\u001b[2J\n\u009b","\u001bkey":"\u202e"}`, zap.InfoLevel, `\x1b[2J\n\u009b`, map[string]any{`\x1bkey`: `\u202e`}, false},
		"words in other alphabets":  {`{"msg":"Grüße 你好 שלום 🙂\t."}`, zap.InfoLevel, "Grüße 你好 שלום 🙂\t.", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries := said(t, "say", c.text)
			require.Len(t, entries, 1)
			entry := entries[0]
			require.Equal(t, c.level, entry.Level)
			require.True(t, strings.HasPrefix(entry.Message, c.message), "%.200q", entry.Message)
			require.LessOrEqual(t, len(entry.Message), 16<<10)
			context := entry.ContextMap()
			require.Equal(t, "test", context["plugin"])
			require.NotZero(t, context["pid"])
			require.Equal(t, c.cut, context["cut"] == true)
			if c.fields != nil {
				require.Equal(t, c.fields, context["fields"])
			}
		})
	}
}

func TestLog_SendsATerminalNoCommands(t *testing.T) {
	t.Parallel()
	for name, encoder := range map[string]zapcore.Encoder{
		"console": zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
		"json":    zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			written := &writer{}
			ctx := ctxzap.ToContext(t.Context(), zap.New(zapcore.NewCore(encoder, written, zap.DebugLevel)))
			text := "text \x1b[2J \u009b31m \u202e \x7f\rback\n" + `{"msg":"json \u001b[2J \u009b31m \u202e \u007f","k\u009b":["\u001b[2J \u009b31m"],"l":{"\u202e":"\u007f"}}`
			process := started(t, ctx, spec("say:"+content(t, text)))
			require.NoError(t, validate(ctx, process))
			require.Eventually(t, func() bool { return strings.Contains(written.String(), "the last line") }, time.Minute, 5*time.Millisecond)
			require.Contains(t, written.String(), "31m", "the lines were written")
			for _, r := range []string{"\x1b", "\u009b", "\u202e", "\x7f", "\r"} {
				require.NotContains(t, written.String(), r)
			}
		})
	}
}

func TestLog_HasWhatAPluginPrints(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"print", "write"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			entries := said(t, way, "hello with "+secretToken+"\n"+`{"level":"debug","msg":"not a log"}`+"\n"+strings.Repeat("z", 1<<20))
			require.Len(t, entries, 3)
			for i, want := range []string{"hello with (secret)", `{"level":"debug","msg":"not a log"}`, strings.Repeat("z", 16<<10)} {
				require.Equal(t, want, entries[i].Message)
				require.Equal(t, zap.WarnLevel, entries[i].Level)
				require.Equal(t, "stdout", entries[i].ContextMap()["stream"])
				require.Equal(t, "test", entries[i].ContextMap()["plugin"])
			}
		})
	}
}

// TestLog_CutsAFlood floods the log with one plugin, while another goes on
// saying little. TestWriter_CutsAFloodToSoManyLines counts them.
func TestLog_CutsAFlood(t *testing.T) {
	t.Parallel()
	const lines, quietLines = 20000, 500
	begins := time.Now()
	ctx, logs := logged(t)
	var flood, quiet strings.Builder
	for i := range lines {
		fmt.Fprintf(&flood, `{"level":"info","msg":"flood %d"}`+"\n", i)
	}
	for i := range quietLines {
		fmt.Fprintf(&quiet, "quiet %d\n", i)
	}
	flooding := started(t, ctx, spec("say:"+content(t, flood.String())))
	other := spec("say:" + content(t, quiet.String()))
	other.Instance = "other"
	quietly := started(t, ctx, other)

	var calls sync.WaitGroup
	calls.Go(func() { _ = validate(ctx, flooding) })
	require.NoError(t, validate(ctx, quietly), "the host goes on")
	calls.Wait()
	flooding.Stop(context.Background()) // Everything has been read by then.
	quietly.Stop(context.Background())

	logged, dropped, others := 0, 0, 0
	for _, entry := range logs.All() {
		switch {
		case strings.HasPrefix(entry.Message, "flood "):
			logged++
		case strings.HasPrefix(entry.Message, "quiet "):
			others++
		case strings.HasPrefix(entry.Message, "lines of the plugin's log were dropped"):
			require.Equal(t, zap.WarnLevel, entry.Level)
			require.Equal(t, "test", entry.ContextMap()["plugin"])
			dropped += int(entry.ContextMap()["lines"].(int64))
		}
	}
	require.Equal(t, quietLines, others, "another plugin's lines")
	require.GreaterOrEqual(t, logged, 4000)
	require.LessOrEqual(t, logged, 5000+int(1000*time.Since(begins).Seconds()), "5,000 at once, and 1,000 a second")
	require.GreaterOrEqual(t, logged+dropped, lines, "each line is logged or counted")
}

func TestLog_LastLinesOfAFloodExplainACrash(t *testing.T) {
	t.Parallel()
	ctx, _ := logged(t)
	process := started(t, ctx, spec("crash-in-flood"))
	err := validate(ctx, process)
	var exit *supervise.ExitError
	require.ErrorAs(t, err, &exit)
	require.Len(t, exit.LastLines, 20)
	require.Equal(t, "the reason", exit.LastLines[19])
	require.Equal(t, strings.Repeat("ü", 506)+"-(secret)", exit.LastLines[18], "the beginning of a line, and none of a secret")
}

func TestLog_ShowsAPanic(t *testing.T) {
	t.Parallel()
	ctx, logs := logged(t)
	process := started(t, ctx, spec("panic-in-call"))
	err := validate(ctx, process)

	var exit *supervise.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, "exit status 2", exit.State)
	require.LessOrEqual(t, len(exit.LastLines), 20)
	text := strings.Join(exit.LastLines, "\n")
	require.Contains(t, text, "panic: token (secret) is bad", "not only the goroutines that follow")
	require.Contains(t, text, "[running]:")
	require.NotContains(t, text, "s3cr3t")
	require.Contains(t, err.Error(), "panic: token (secret) is bad")

	trace := 0
	for _, entry := range logs.All() {
		if strings.HasPrefix(entry.Message, "goroutine ") {
			require.Equal(t, zap.ErrorLevel, entry.Level, entry.Message)
			trace++
		}
	}
	require.Greater(t, trace, 20, "every goroutine of it is in the log")
	require.Equal(t, zap.ErrorLevel, awaitLine(t, logs, "panic: ").Level)
}

func TestLog_HasALevelPerPlugin(t *testing.T) {
	t.Parallel()
	text := `{"level":"debug","msg":"a debug"}` + "\n" + `{"level":"info","msg":"an info"}` + "\n" + `{"level":"warn","msg":"a warn"}` + "\n" + `{"level":"error","msg":"an error"}`
	all := []string{"a debug", "an info", "a warn", "an error"}
	for name, c := range map[string]struct {
		host  zapcore.Level
		level string
		want  []string
	}{
		"the host's":               {zap.InfoLevel, "", all[1:]},
		"chattier than the host's": {zap.ErrorLevel, "debug", all},
		"quieter than the host's":  {zap.DebugLevel, "warn", all[2:]},
		"of a silent host":         {zap.FatalLevel, "error", all[3:]},
		"a silent host":            {zap.FatalLevel, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			written := &writer{}
			core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), written, c.host)
			ctx := ctxzap.ToContext(t.Context(), zap.New(core))
			with := spec("say:" + content(t, text))
			with.LogLevel = c.level
			process := started(t, ctx, with)
			require.NoError(t, validate(ctx, process))
			process.Stop(context.Background())
			var got []string
			for _, one := range all {
				if strings.Contains(written.String(), `"msg":"`+one+`","plugin":"test","pid":`) {
					got = append(got, one)
				}
			}
			require.Equal(t, c.want, got)
		})
	}
	with := spec("good")
	with.LogLevel = "loud"
	_, err := supervise.Start(t.Context(), with)
	require.EqualError(t, err, `start plugin "test": the log level must be debug, info, warn or error, not "loud"`)
}

// writer collects what is written.
type writer struct {
	mu      sync.Mutex
	written bytes.Buffer
}

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written.Write(p)
}

func (w *writer) Sync() error { return nil }

func (w *writer) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written.String()
}
