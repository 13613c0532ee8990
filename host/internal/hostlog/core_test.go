package hostlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/conductorone/baton-sdk/pkg/logging"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// logTo returns a logger like the host's own, and what it has logged.
func logTo(level zapcore.Level) (*zap.Logger, *bytes.Buffer) {
	var text bytes.Buffer
	log := New(NewWriter(&text), logging.LogFormatJSON, level)
	return log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core { return quietCore{boundedCore{core}} })), &text
}

// verboseError is an error that has more to print than its text.
type verboseError string

func (v verboseError) Error() string { return string(v) }

func (v verboseError) Format(s fmt.State, _ rune) {
	_, _ = s.Write([]byte(strings.Repeat("stack of "+string(v), 100)))
}

// stringer is a text that is made when it is logged.
type stringer string

func (s stringer) String() string { return string(s) }

func TestBoundedCutsWhatIsTooLong(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 50_000)
	joined := errors.Join(errors.New("first: "+long), fmt.Errorf("second: %w", errors.New(long)))
	for name, field := range map[string]zap.Field{
		"an error":               zap.Error(errors.New("x" + long)),
		"a call's error":         zap.Error(status.Error(codes.Unavailable, long)),
		"several errors":         zap.Error(joined),
		"an error with a stack":  zap.Error(verboseError(long)),
		"an error of a name":     zap.NamedError("why", errors.New(long)),
		"a text":                 zap.String("why", "x"+long),
		"a text in lines":        zap.String("why", strings.Repeat("line\n", 10_000)),
		"a text with no letters": zap.String("why", strings.Repeat("\x80x", 10_000)),
		"a text that is made":    zap.Stringer("why", stringer(long)),
		"bytes of a text":        zap.ByteString("why", []byte(long)),
		"bytes":                  zap.Binary("why", []byte(long)),
		"texts":                  zap.Strings("why", []string{"short", long}),
		"errors":                 zap.Errors("why", []error{errors.New(long)}),
		"a map":                  zap.Any("fields", map[string]any{"deep": []any{map[string]any{"why": long}}, long: 1}),
		"a structure":            zap.Any("fields", struct{ Why string }{long}),
		"a list without end":     zap.Any("fields", slices.Repeat([]string{"some text"}, 50_000)),
		"an object": zap.Object("plugins", zapcore.ObjectMarshalerFunc(func(to zapcore.ObjectEncoder) error {
			to.AddString("why", long)
			return nil
		})),
		"an object in the line": zap.Inline(zapcore.ObjectMarshalerFunc(func(to zapcore.ObjectEncoder) error {
			to.AddString("why", long)
			return nil
		})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, how := range []string{"of the line", "of the logger"} {
				log, text := logTo(zap.InfoLevel)
				if how == "of the line" {
					log.Error("x", field)
				} else {
					log.With(field).Error("x")
				}
				require.True(t, utf8.Valid(text.Bytes()))
				require.Less(t, text.Len(), maxValue)
				var line any
				require.NoError(t, json.Unmarshal(text.Bytes(), &line), "a line of JSON as ever")
				if field.Type != zapcore.BinaryType {
					require.Contains(t, text.String(), " more bytes cut)")
				}
				require.NotContains(t, text.String(), "stack of")
				eachText(line, func(text string) { require.LessOrEqual(t, len(text), maxText) })
			}
		})
	}
	require.Greater(t, len(joined.Error()), 200_000, "the error itself stays as it is")
}

func eachText(value any, do func(string)) {
	switch value := value.(type) {
	case string:
		do(value)
	case map[string]any:
		for key, item := range value {
			do(key)
			eachText(item, do)
		}
	case []any:
		for _, item := range value {
			eachText(item, do)
		}
	}
}

func TestBoundedLeavesTheRestAsItIs(t *testing.T) {
	t.Parallel()
	fits := strings.Repeat("x", maxText)
	var none *os.PathError
	fields := []zap.Field{
		zap.String("text", fits), zap.Error(errors.New("why\nand why")), zap.Int("n", 1), zap.NamedError("none", none), zap.Duration("took", 1),
		zap.Any("fields", map[string]any{"n": 12345678901234567, "list": []string{"a"}}), zap.Stringer("gone", (*zap.AtomicLevel)(nil)),
		zap.Any("many", slices.Repeat([]int{1}, 10_000)),
	}
	var want bytes.Buffer
	New(NewWriter(&want), logging.LogFormatJSON, zap.InfoLevel).Info("x", fields...)
	log, got := logTo(zap.InfoLevel)
	log.Info("x", fields...)
	_, wanted, _ := strings.Cut(want.String(), `"msg"`)
	_, logged, _ := strings.Cut(got.String(), `"msg"`)
	require.Equal(t, wanted, logged)
}

func TestBoundedCutsMessages(t *testing.T) {
	t.Parallel()
	log, text := logTo(zap.InfoLevel)
	log.Info(strings.Repeat("x", 16<<10))
	require.NotContains(t, text.String(), "bytes cut", "the longest line of a plugin")
	log.Info(strings.Repeat("x", 1<<20))
	require.Contains(t, text.String(), "bytes cut")
	require.Less(t, text.Len(), 40<<10)
}

func TestCut_ReportsHowMuch(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("x", 5000), strings.Repeat("ä", 5000), strings.Repeat("€", 5000), "x" + strings.Repeat("🙂", 5000)} {
		short := cut(text, 100)
		begin, mark, ok := strings.Cut(short, " … (")
		require.True(t, ok)
		n, err := strconv.Atoi(strings.TrimSuffix(mark, " more bytes cut)"))
		require.NoError(t, err)
		require.Equal(t, len(text), len(begin)+n)
		require.True(t, strings.HasPrefix(text, begin))
		require.True(t, utf8.ValidString(short))
		require.InDelta(t, 100, len(short), 4)
		require.LessOrEqual(t, len(short), 100)
	}
}

// finished is what the SDK logs of the error that a task is finished with.
const finished = "c1_api_task_manager.finishTask(): finishing task with error"

func TestQuietLeavesOutWhatTheSDKRepeats(t *testing.T) {
	t.Parallel()
	const syncer, tasks, store = "pkg/sync.(*syncer).parallelSync", "pkg/tasks/c1api.(*c1ApiTaskManager).Process", "pkg/dotc1z/engine/pebble.(*Engine).Build"
	failure := errors.New("the app is away")
	for name, c := range map[string]struct {
		from, message string
		level         zapcore.Level
		fields        []zap.Field
		stays         bool
	}{
		"commentary":                    {from: syncer, level: zap.InfoLevel},
		"an error of the sync":          {from: syncer, level: zap.ErrorLevel, fields: []zap.Field{zap.String("action", "x"), zap.Error(failure)}},
		"an error of a part of it":      {from: "pkg/sync/expand.(*Expander).Run", level: zap.ErrorLevel, fields: []zap.Field{zap.Error(failure)}},
		"an error of the rate limiter":  {from: "pkg/ratelimit.UnaryInterceptor.func1", level: zap.ErrorLevel, fields: []zap.Field{zap.Error(failure)}},
		"an error of a task":            {from: tasks, level: zap.ErrorLevel, fields: []zap.Field{zap.Error(failure)}},
		"what a task is finished with":  {from: tasks, message: finished, level: zap.ErrorLevel, fields: []zap.Field{zap.Error(failure)}},
		"a cancelled sync":              {from: syncer, level: zap.ErrorLevel, fields: []zap.Field{zap.Error(fmt.Errorf("x: %w", context.Canceled))}},
		"a cancelled call":              {from: store, level: zap.WarnLevel, fields: []zap.Field{zap.Error(status.Error(codes.Canceled, "context canceled"))}},
		"a cancelled end of a sync":     {from: syncer, message: going[0], level: zap.ErrorLevel, fields: []zap.Field{zap.Error(context.Canceled)}},
		"an error that it goes on from": {from: syncer, message: "error clearing connector caches", level: zap.ErrorLevel, fields: []zap.Field{zap.Error(failure)}, stays: true},
		"an error of the store":         {from: store, level: zap.ErrorLevel, fields: []zap.Field{zap.Error(failure)}, stays: true},
		"an error without one":          {from: syncer, level: zap.ErrorLevel, stays: true},
		"a warning about the data":      {from: syncer, level: zap.WarnLevel, fields: []zap.Field{zap.Error(failure)}, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, at := range []zapcore.Level{zap.DebugLevel, zap.InfoLevel} {
				for _, begin := range []string{sdk, "github.com/batonhost/baton-host/"} {
					log, text := logTo(at)
					entry := zapcore.Entry{Level: c.level, Message: c.message, Caller: zapcore.EntryCaller{Defined: true, Function: begin + c.from}}
					log.Core().Check(entry, nil).Write(c.fields...)
					require.Equal(t, c.stays || at == zap.DebugLevel || begin != sdk, text.Len() > 0, "level %s, function of %s", at, begin)
				}
			}
		})
	}
}

// TestQuiet_RestsOnAnSDKThatReturnsTheErrorsThatItLogs reads the SDK: where quietCore
// leaves out an error, the SDK must return it, so that the host reports it.
func TestQuiet_RestsOnAnSDKThatReturnsTheErrorsThatItLogs(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Module.Dir}}", sdk+"pkg/sync").Output()
	require.NoError(t, err)
	root := strings.TrimSpace(string(out))
	found := map[string]bool{}
	for _, part := range []string{"pkg/sync", "pkg/tasks/c1api", "pkg/ratelimit", "pkg/connectorclient"} {
		files, err := filepath.Glob(filepath.Join(root, part, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files, part)
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			ast.Inspect(file, func(node ast.Node) bool {
				var list []ast.Stmt
				switch node := node.(type) {
				case *ast.BlockStmt:
					list = node.List
				case *ast.CaseClause:
					list = node.Body
				case *ast.CommClause:
					list = node.Body
				}
				for i, statement := range list {
					if message, ok := loggedError(statement); ok && !leaves(list[i+1:]) {
						found[message] = true
					}
				}
				return true
			})
		}
	}
	// These are returned, in a way that is not seen from the statements beside them.
	for _, message := range []string{
		"c1_api_task_manager.Next(): failed to top up task batch", // the host asks for tasks itself
		"error checkpointing before exiting sync",                 // joined with what is
		"failed while granting entitlement",                       // what the task is finished with
		"cancelling context due to error in action",               // the context's cause is
		"failed to close syncer after sync error",                 // joined with what is
		finished, // the host logs it as the task's failure
		"sync operation failed while run duration expired; exiting early for resume", // no run is limited
	} {
		delete(found, message)
	}
	for _, message := range going {
		delete(found, message)
	}
	require.Empty(t, found, "the SDK logs them and goes on")
}

// loggedError returns the message of a statement that logs an error.
func loggedError(statement ast.Stmt) (message string, ok bool) {
	expression, ok := statement.(*ast.ExprStmt)
	if !ok {
		return "", false
	}
	call, ok := expression.X.(*ast.CallExpr)
	if !ok || len(call.Args) < 2 {
		return "", false
	}
	if method, ok := call.Fun.(*ast.SelectorExpr); !ok || method.Sel.Name != "Error" {
		return "", false
	}
	text, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return "", false
	}
	message, _ = strconv.Unquote(text.Value)
	return message, slices.ContainsFunc(call.Args[1:], func(arg ast.Expr) bool {
		field, ok := arg.(*ast.CallExpr)
		if !ok {
			return false
		}
		of, ok := field.Fun.(*ast.SelectorExpr)
		return ok && of.Sel.Name == "Error"
	})
}

// leaves reports whether statements end with a return of something.
func leaves(list []ast.Stmt) bool {
	return slices.ContainsFunc(list, func(statement ast.Stmt) bool {
		end, ok := statement.(*ast.ReturnStmt)
		return ok && len(end.Results) > 0
	})
}

func TestBounded_EscapesWhatATerminalObeys(t *testing.T) {
	t.Parallel()
	const hostile = "\x1b[2J\u009b31m\u202e\x7f"
	for name, write := range map[string]func(*zap.Logger){
		"the message":  func(log *zap.Logger) { log.Info("C1 reports " + hostile) },
		"a name":       func(log *zap.Logger) { log.Named(hostile).Info("x") },
		"a text":       func(log *zap.Logger) { log.Info("x", zap.String("why", hostile)) },
		"an error":     func(log *zap.Logger) { log.Info("x", zap.Error(errors.New(hostile))) },
		"bytes":        func(log *zap.Logger) { log.Info("x", zap.ByteString("why", []byte(hostile))) },
		"texts":        func(log *zap.Logger) { log.Info("x", zap.Strings("why", []string{hostile})) },
		"a key":        func(log *zap.Logger) { log.Info("x", zap.Any("why", map[string]string{hostile: "x"})) },
		"a structure":  func(log *zap.Logger) { log.Info("x", zap.Any("why", struct{ Why string }{hostile})) },
		"a logger's":   func(log *zap.Logger) { log.With(zap.String("why", hostile)).Info("x") },
		"what is made": func(log *zap.Logger) { log.Info("x", zap.Stringer("why", stringer(hostile))) },
		"a long text":  func(log *zap.Logger) { log.Info("x", zap.String("why", strings.Repeat(hostile, 10_000))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, format := range []string{logging.LogFormatJSON, logging.LogFormatConsole} {
				var text bytes.Buffer
				log := New(NewWriter(&text), format, zap.InfoLevel)
				write(log.WithOptions(zap.WrapCore(Core)))
				line := strings.TrimSuffix(text.String(), "\n")
				require.NotEmpty(t, line)
				require.NotRegexp(t, `[\x00-\x08\x0a-\x1f\x7f\x{80}-\x{9f}\x{202e}]`, line)
				require.Regexp(t, `31m`, line, "it is escaped, not left out")
				require.Less(t, len(line), 3*maxText)
			}
		})
	}
}
