package plugintest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/conductorone/baton-sdk/pkg/connectorrunner"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"

	"github.com/batonhost/baton-host/plugin"
	"github.com/batonhost/baton-host/plugin/conformance"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
	"github.com/batonhost/baton-host/sandbox/raced"
)

func TestMain(m *testing.M) {
	// These tests wait for processes much more than they work.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestChecks_PassAConnectorInMemory(t *testing.T) {
	t.Parallel()
	Run(t, Settings{Configuration: values}, "baton-memory", "v1.2.3", schema, newApp(""))
}

func TestChecks_PassAConnectorWithSessionNotes(t *testing.T) {
	t.Parallel()
	Run(t, Settings{Configuration: values}, "baton-memory", "v1.2.3", schema, newApp("keeps notes"), connectorrunner.WithSessionStoreEnabled())
}

func request(schema *pluginv1.ConfigurationSchema) (*pluginv1.ConfigureRequest, error) {
	return conformance.Request(schema, values)
}

// asSubprocess runs the checks on a connector with a habit.
func asSubprocess(t *testing.T, bad habit) *conformance.Report {
	t.Helper()
	version := "v1.2.3"
	if bad == "describes itself otherwise" {
		version = fmt.Sprint("v", os.Getpid())
	}
	if startedAs(t.Name()) {
		if bad == "prints before the handshake" {
			fmt.Println("hello")
		}
		plugin.Run(context.Background(), "baton-memory", version, schema, newApp(bad))
		os.Exit(0)
	}
	return checked(t, conformance.Subject{Start: ownBinary(t, openSessions(t), nil).start, Request: request})
}

// inProcess runs the checks on a connector with a habit that needs no process, or
// whose answers are changed on their way.
func inProcess(t *testing.T, bad habit, changed func(conformance.Process) conformance.Process) *conformance.Report {
	t.Helper()
	sessions := openSessions(t)
	return checked(t, conformance.Subject{
		InProcess: true, Request: request,
		Start: func(ctx context.Context, _ func(conformance.Line)) (conformance.Process, error) {
			process, err := serveHere(ctx, sessions, "baton-memory", "v1.2.3", schema, newApp(bad))
			if err != nil || changed == nil {
				return process, err
			}
			return changed(process), nil
		},
	})
}

// checked runs all checks and wants no secret in their report.
func checked(t *testing.T, subject conformance.Subject) *conformance.Report {
	t.Helper()
	report := conformance.New(subject).Run(t.Context(), func(conformance.Outcome) {})
	encoded, err := json.Marshal(report)
	require.NoError(t, err)
	require.NotContains(t, string(encoded), secretToken)
	return report
}

// failed are the checks that failed, with their sentences.
func failed(report *conformance.Report) (names []string, sentences string) {
	for _, outcome := range report.Checks {
		if outcome.Result == conformance.Failed {
			names = append(names, outcome.Check)
			sentences += outcome.Sentence + "\n"
		}
	}
	return names, sentences
}

// ofProcesses are the habits that show only between processes, or in what one writes.
var ofProcesses = []habit{
	"describes itself otherwise", "prints before the handshake", "ids of the process", "hangs when it closes",
	"prints", "writes to the real standard output", "logs its secret",
}

// TestChecks_FailABadHabit has connectors that do one thing that they must not, and
// wants that one check to fail, and to report why. Those that need no separate process
// have one in TestLongChecks_FailABadHabit.
func TestChecks_FailABadHabit(t *testing.T) {
	t.Parallel()
	badHabits(t, func(t *testing.T, bad habit) *conformance.Report {
		t.Helper()
		if slices.Contains(ofProcesses, bad) {
			return asSubprocess(t, bad)
		}
		return inProcess(t, bad, nil)
	})
}

// badHabits runs the checks on a connector of each habit.
func badHabits(t *testing.T, run func(t *testing.T, bad habit) *conformance.Report) {
	t.Helper()
	for bad, want := range map[habit]struct{ check, sentence string }{
		"describes itself otherwise":         {"describes itself the same every time", "must depend on nothing but the program"},
		"prints before the handshake":        {"starts", "hello"},
		"bad credentials":                    {"validates", "the app refuses the token"},
		"fails in the middle":                {"lists everything", "the app is out of order"},
		"no id":                              {"lists everything", "row 10 of page 7 has no id"},
		"a page token twice":                 {"repeats no page token", `"20"`},
		"an id twice":                        {"lists no id twice", `"user/0" comes twice among the resources, and not the same`},
		"ids of the process":                 {"keeps ids from process to process", "130 of 134 ids of resources are not there"},
		"an entitlement for nobody":          {"refers to what it lists", `"ghost"`},
		"a grant to nobody":                  {"refers to what it lists", "user/nobody"},
		"another page every time":            {"answers a page token again with the same rows", "lacks 1 of 20 rows"},
		"loses a row when resumed":           {"resumes from any page token", "lacks 1 of 130 rows"},
		"ignores cancellation":               {"gives up calls that are cancelled", "calls went on after they had been cancelled"},
		"hangs when it closes":               {"stops", "once it is configured"},
		"prints":                             {"writes nothing to standard output", "a page for"},
		"writes to the real standard output": {"writes nothing to standard output", "a page for"},
		"logs its secret":                    {"logs no secret", "the header is dXNlcj(secret)"},
	} {
		t.Run(string(bad), func(t *testing.T) {
			raced.Sample(t, 4)
			t.Parallel()
			names, sentences := failed(run(t, bad))
			require.Equal(t, []string{want.check}, names, sentences)
			require.Contains(t, sentences, want.sentence)
		})
	}
}

// TestChecks_PassARepeatedRow: the SDK keeps one of them.
func TestChecks_PassARepeatedRow(t *testing.T) {
	t.Parallel()
	report := inProcess(t, "a row again", nil)
	names, sentences := failed(report)
	require.Empty(t, names, sentences)
	i := slices.IndexFunc(report.Checks, func(o conformance.Outcome) bool { return o.Check == "lists no id twice" })
	require.Equal(t, "no id is of two things; 1 rows come again as they were, which is harmless", report.Checks[i].Sentence)
}

// TestChecks_ListInTurnAndAtTheSameTime: an app with one cursor for all of its listings is
// read one listing at a time, which is no fault unless the plugin declares otherwise.
func TestChecks_ListInTurnAndAtTheSameTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		habit    habit
		declared int
		result   conformance.Result
		inTurn   string
		atOnce   string
	}{
		"pages that stand for themselves": {"", 4, conformance.Passed, "^2 listings that were paged in turn had every row$", "^4 listings that were read at the same time agreed with those that were read alone$"},
		"one cursor": {
			"one cursor", 0, conformance.Passed,
			"^one listing at a time, as the host reads it: paged in turn with others, .*the cursor of the app is gone.* Do not raise its concurrency$", "",
		},
		"one cursor, and several declared": {
			"one cursor", 2, conformance.Failed,
			"^the plugin declares that 2 of its listings may be read at the same time, but paged in turn with others, .*the cursor of the app is gone", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite := conformance.New(conformance.Subject{
				InProcess: true, Request: request,
				Start: func(ctx context.Context, _ func(conformance.Line)) (conformance.Process, error) {
					return serveHere(ctx, openSessions(t), "baton-memory", "v1.2.3", schema, newApp(c.habit), plugin.WithConcurrency(c.declared))
				},
			})
			inTurn := suite.Check(t.Context(), "lists in turn")
			require.Equal(t, c.result, inTurn.Result, inTurn.Sentence)
			require.Regexp(t, c.inTurn, inTurn.Sentence)
			if c.atOnce != "" {
				atOnce := suite.Check(t.Context(), "lists at the same time")
				require.Equal(t, conformance.Passed, atOnce.Result, atOnce.Sentence)
				require.Regexp(t, c.atOnce, atOnce.Sentence)
			}
		})
	}
}

// TestChecks_PassAnotherOrder: of more teams than are asked for their entitlements, the
// same ones are asked every time.
func TestChecks_PassAnotherOrder(t *testing.T) {
	t.Parallel()
	t.Run("H14: more than 100 resources, in another order every time", func(t *testing.T) {
		t.Parallel()
		names, sentences := failed(inProcess(t, "another order every time", nil))
		require.Empty(t, names, sentences)
	})
}

// TestChecks_PassAGoodHabit: slow is no fault.
func TestChecks_PassAGoodHabit(t *testing.T) {
	t.Parallel()
	report := asSubprocess(t, "gives up")
	names, sentences := failed(report)
	require.Empty(t, names, sentences)
	require.Equal(t, len(report.Checks), report.Count(conformance.Passed))
	i := slices.IndexFunc(report.Checks, func(o conformance.Outcome) bool { return o.Check == "gives up calls that are cancelled" })
	require.Regexp(t, "^[1-4] of 4 calls were cancelled, and nothing went on running$", report.Checks[i].Sentence, "those that the machine was too slow for are too")
	require.Equal(t, "baton-memory", report.Plugin)
	require.Equal(t, "v1.2.3", report.Version)
}

// liar is a plugin whose answers are changed on their way, for habits that package
// plugin does not let a connector have.
type liar struct {
	conformance.Process
	configure func(request *pluginv1.ConfigureRequest, answer []*pluginv1.Diagnostic) []*pluginv1.Diagnostic
	willing   bool // answers calls before it is configured
	denies    bool // does not describe itself once it has refused
	stuck     bool // takes no configuration once it has refused one
	refused   bool
	given     bool
}

func (l *liar) Configure(ctx context.Context, request *pluginv1.ConfigureRequest) ([]*pluginv1.Diagnostic, error) {
	if l.stuck && l.refused {
		return nil, fmt.Errorf("stuck")
	}
	answer, err := l.Process.Configure(ctx, request)
	l.given, l.refused = true, len(answer) > 0
	if l.configure != nil {
		answer = l.configure(request, answer)
	}
	return answer, err
}

func (l *liar) Describe(ctx context.Context) (*pluginv1.Manifest, error) {
	if l.denies && l.refused {
		return nil, fmt.Errorf("no")
	}
	return l.Process.Describe(ctx)
}

func (l *liar) Conn() grpc.ClientConnInterface {
	if l.willing && !l.given {
		return yes{l.Process.Conn()}
	}
	return l.Process.Conn()
}

// yes answers every call.
type yes struct{ grpc.ClientConnInterface }

func (yes) Invoke(context.Context, string, any, any, ...grpc.CallOption) error { return nil }

func TestChecks_FailALie(t *testing.T) {
	t.Parallel()
	about := func(name string, change func(*pluginv1.Diagnostic, *pluginv1.ConfigureRequest)) *liar {
		return &liar{configure: func(request *pluginv1.ConfigureRequest, answer []*pluginv1.Diagnostic) []*pluginv1.Diagnostic {
			for _, d := range answer {
				if d.GetField() == name || name == "" {
					change(d, request)
				}
			}
			return answer
		}}
	}
	for name, c := range map[string]struct {
		lie             func() *liar
		check, sentence string
	}{
		"a secret in a diagnostic": {
			func() *liar {
				return about("region", func(d *pluginv1.Diagnostic, r *pluginv1.ConfigureRequest) {
					d.Detail = "with " + r.GetSecrets()["token"].GetStringValue()
				})
			},
			"repeats no secret in a diagnostic", "(with (secret))",
		},
		"no word about an unknown field": {
			func() *liar {
				return &liar{configure: func(r *pluginv1.ConfigureRequest, answer []*pluginv1.Diagnostic) []*pluginv1.Diagnostic {
					if len(answer) == 1 && r.GetValues()[answer[0].GetField()].GetStringValue() == "x" {
						return nil
					}
					return answer
				}}
			},
			"refuses an unknown field", "Configure takes the configuration",
		},
		"a wrong type of which field": {
			func() *liar {
				return about("tags", func(d *pluginv1.Diagnostic, _ *pluginv1.ConfigureRequest) { d.Field = "" })
			},
			"refuses a wrong type", "no diagnostic names the field tags",
		},
		"describes itself no more": {
			func() *liar { return &liar{denies: true} },
			"can be configured after a refusal", "Describe fails after a refusal",
		},
		"takes no configuration after a refusal": {
			func() *liar { return &liar{stuck: true} },
			"can be configured after a refusal", "after a refusal Configure fails: stuck",
		},
		"answers without a configuration": {
			func() *liar { return &liar{willing: true} },
			"answers FAILED_PRECONDITION until configured", "c1.connector.v2.GrantsService/ListGrants answers OK",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names, sentences := failed(inProcess(t, "", func(process conformance.Process) conformance.Process {
				lie := c.lie()
				lie.Process = process
				return lie
			}))
			require.Equal(t, []string{c.check}, names, sentences)
			require.Contains(t, sentences, c.sentence)
		})
	}
}
