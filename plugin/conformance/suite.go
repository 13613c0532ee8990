package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/batonhost/baton-host/plugin/redact"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// check is one thing that a plugin must do.
type check struct {
	// name is what it does, for people.
	name string
	// needs are the checks without which this one means nothing: it is skipped if
	// one of them failed.
	needs []string
	// process means that it makes sense with a real process only.
	process bool
	try     func(ctx context.Context, s *Suite) (string, error)
}

// The names that other checks need.
const (
	starts    = "starts"
	describes = "describes itself the same every time"
	takes     = "takes its configuration"
	lists     = "lists everything"
	advances  = "repeats no page token"
	stable    = "keeps ids from process to process"
	resumes   = "resumes from any page token"
	repeats   = "answers a page token again with the same rows"
	stops     = "stops"
)

// checks are in an order in which what comes first explains what comes later.
var checks = []check{
	{name: starts, try: start},
	{name: describes, needs: []string{starts}, try: describeSame},
	{name: "has a sound schema", needs: []string{describes}, try: soundSchema},
	{name: "answers FAILED_PRECONDITION until configured", needs: []string{starts}, try: notConfigured},
	{name: "refuses an unknown field", needs: []string{describes}, try: refuseUnknown},
	{name: "refuses a missing field", needs: []string{describes}, try: refuseMissing},
	{name: "refuses a wrong type", needs: []string{describes}, try: refuseType},
	{name: "refuses a secret among values", needs: []string{describes}, try: refuseOpenSecret},
	{name: "repeats no secret in a diagnostic", needs: []string{describes}, try: noSecretInDiagnostic},
	{name: takes, needs: []string{describes}, try: takeConfiguration},
	{name: "can be configured after a refusal", needs: []string{takes}, try: configureAgain},
	{name: "validates", needs: []string{takes}, try: validate},
	{name: lists, needs: []string{takes}, try: listAll},
	{name: advances, needs: []string{lists}, try: noTokenTwice},
	{name: "lists no id twice", needs: []string{lists}, try: noIDTwice},
	{name: "refers to what it lists", needs: []string{lists}, try: references},
	{name: stable, needs: []string{lists}, try: stableIDs},
	{name: repeats, needs: []string{advances, stable}, try: samePages},
	{name: resumes, needs: []string{repeats}, try: resumeAnywhere},
	{name: "lists in turn", needs: []string{lists}, try: listInTurn},
	{name: "lists at the same time", needs: []string{lists}, try: listAtOnce},
	{name: "loses nothing when it is killed and started again", process: true, needs: []string{resumes}, try: killAndGoOn},
	{name: stops, needs: []string{takes}, try: stop},
	{name: "gives up calls that are cancelled", needs: []string{lists, stops}, try: cancelPromptly},
	{name: "writes nothing to standard output", process: true, needs: []string{starts}, try: noOutput},
	{name: "logs no secret", process: true, needs: []string{takes}, try: noSecretLogged},
}

// Suite is one plugin's checks. Call its methods one at a time.
type Suite struct {
	subject  Subject
	outcomes map[string]Outcome
	blocks   map[string]bool // checks whose outcome makes those that need them meaningless
	secrets  *redact.Redactor

	manifest *pluginv1.Manifest
	world    *world // as the first complete listing found it
	running  []Process

	mu      sync.Mutex
	written lines
}

// New makes the checks of a plugin; nothing is started yet.
func New(subject Subject) *Suite {
	return &Suite{subject: subject, outcomes: map[string]Outcome{}, blocks: map[string]bool{}}
}

// Names are the checks that make sense for the subject, in their order.
func (s *Suite) Names() []string {
	var names []string
	for _, c := range checks {
		if !c.process || !s.subject.InProcess {
			names = append(names, c.name)
		}
	}
	return names
}

// Run runs all checks. Each outcome is reported when it is there.
func (s *Suite) Run(ctx context.Context, notify func(Outcome)) *Report {
	report := &Report{}
	for _, name := range s.Names() {
		outcome := s.Check(ctx, name)
		report.Checks = append(report.Checks, outcome)
		notify(outcome)
	}
	report.Plugin, report.Version = s.manifest.GetName(), s.manifest.GetVersion()
	return report
}

// Check runs the check of that name, and those that it needs, unless it has been
// run.
func (s *Suite) Check(ctx context.Context, name string) Outcome {
	if outcome, ok := s.outcomes[name]; ok {
		return outcome
	}
	i := slices.IndexFunc(checks, func(c check) bool { return c.name == name })
	if i < 0 {
		return Outcome{Check: name, Result: Failed, Sentence: "there is no such check"}
	}
	outcome := s.run(ctx, checks[i])
	s.outcomes[name] = outcome
	return outcome
}

func (s *Suite) run(ctx context.Context, c check) Outcome {
	for _, need := range c.needs {
		if s.Check(ctx, need); s.blocks[need] {
			s.blocks[c.name] = true
			return Outcome{Check: c.name, Result: Skipped, Sentence: fmt.Sprintf("not tried, as it needs: %s", need)}
		}
	}
	if err := ctx.Err(); err != nil {
		s.blocks[c.name] = true
		return Outcome{Check: c.name, Result: Skipped, Sentence: "not tried: " + err.Error()}
	}
	begin := time.Now()
	sentence, err := c.try(ctx, s)
	s.end(ctx)
	outcome := Outcome{Check: c.name, Result: Passed, Seconds: time.Since(begin).Seconds()}
	if err != nil {
		outcome.Result = Failed
		if _, ok := errors.AsType[*skipError](err); ok {
			outcome.Result = Skipped
		}
		s.blocks[c.name] = outcome.Result == Failed
		sentence = err.Error()
	}
	outcome.Sentence = s.secrets.Blank(strings.TrimSpace(sentence))
	return outcome
}

// skipError is why a check cannot be tried.
type skipError struct{ why error }

func (e *skipError) Error() string { return e.why.Error() }

func skip(format string, args ...any) error { return &skipError{fmt.Errorf(format, args...)} }

// start starts another process. What is left of a check's processes ends with the
// check.
func (s *Suite) start(ctx context.Context) (Process, error) {
	process, err := s.subject.Start(ctx, s.note)
	if err != nil {
		return nil, err
	}
	s.running = append(s.running, process)
	return process, nil
}

// configured starts another process and configures it.
func (s *Suite) configured(ctx context.Context) (Process, error) {
	process, err := s.start(ctx)
	if err != nil {
		return nil, err
	}
	request, err := s.request()
	if err != nil {
		return nil, err
	}
	diagnostics, err := process.Configure(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("its Configure fails: %w", plain(err))
	}
	if refusals := refusals(diagnostics); len(refusals) > 0 {
		return nil, fmt.Errorf("its Configure refuses the configuration of this test: %s", textOf(refusals))
	}
	return process, nil
}

// request is a fresh copy of the configuration under test.
func (s *Suite) request() (*pluginv1.ConfigureRequest, error) {
	made, err := s.subject.Request(s.manifest.GetConfiguration())
	if err != nil {
		return nil, skip("there is no configuration to try it with: %w", err)
	}
	request := proto.CloneOf(made)
	if request.GetHost() == nil {
		request.Host = &pluginv1.Host{UserAgent: "baton-conformance"}
	}
	// What is logged at all is to be seen.
	request.GetHost().LogLevel = "debug"
	if request.Values == nil {
		request.Values = map[string]*pluginv1.Value{}
	}
	if request.Secrets == nil {
		request.Secrets = map[string]*pluginv1.Value{}
	}
	s.secrets = redact.Request(request)
	return request, nil
}

// end ends what a check has left running.
func (s *Suite) end(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for _, process := range s.running {
		_ = process.Stop(ctx)
	}
	s.running = nil
}

// plain is an error without gRPC's preamble.
func plain(err error) error {
	if st, ok := status.FromError(err); ok && err != nil {
		return fmt.Errorf("%s: %s", st.Code(), st.Message())
	}
	return err
}
