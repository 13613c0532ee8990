package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	connectorv2 "github.com/conductorone/baton-sdk/pb/c1/connector/v2"
	"github.com/grpc-ecosystem/go-grpc-middleware/logging/zap/ctxzap"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/supervise"
	pluginv1 "github.com/batonhost/baton-host/proto/baton/plugin/v1"
)

// refreshLimit bounds how long a task waits for secrets to be resolved again, and for the
// processes that they change.
const refreshLimit = 30 * time.Second

// rotation is which values a plugin's processes have.
type rotation struct {
	refreshing *semaphore.Weighted // of one: who looks for new values holds it
	search     *secret.Search      // for newer values than those that the app has refused

	mu      sync.Mutex
	written *settings.Settings // as the file has them now
	config  *config.Config     // whose stores resolve them; nil without one
	next    *settings.Settings // what the next process gets; nil: they are resolved for it
	tried   *values            // of the last process that was configured; nil: none was
	applied *values            // of the process that calls go to; nil: there was none
	refused *values            // the newest ones that did not work; nil: the newest do, or are not known
	version uint64             // how often applied has changed
	shown   string             // the problems that were reported last
	wrong   map[string]string  // the same by reference
}

// values are settings with their references resolved, and in the form that a plugin takes.
type values struct {
	settings *settings.Settings
	bound    *settings.Bound
}

// RotationError says that new values of a plugin's secrets do not work, so that the process
// with those before stays.
type RotationError struct {
	Instance string
	// References are those that have a new value; none where a file that a field names has.
	References []string
	// Err is what the app, or the plugin, answers to it.
	Err error
}

func (e *RotationError) Error() string { return e.words() + ": " + status.Convert(e.Err).Message() }

// Unwrap returns what the app, or the plugin, answers.
func (e *RotationError) Unwrap() error { return e.Err }

// Public is the error without the plugin's own words.
func (e *RotationError) Public() string {
	if why := errtext.Public(e.Err); why != "" {
		return e.words() + ": " + why
	}
	return e.words()
}

func (e *RotationError) words() string {
	what := strings.Join(e.References, ", ")
	if what == "" {
		what = "a file of its configuration"
	}
	return fmt.Sprintf("%s has a new value, which does not work, so the one before stays in use", what)
}

// Configure returns the plugin's configuration in the form that its schema asks for, with
// what its references resolve to now. If they cannot be resolved, if what they resolve to
// does not fit, or if it has been tried and does not work, it has the values of the process
// before.
func (p *Plugin) Configure(ctx context.Context, manifest *pluginv1.Manifest) (*pluginv1.ConfigureRequest, error) {
	if p.keyErr != nil {
		return nil, p.keyErr
	}
	found, problems := p.newest(ctx, manifest.GetConfiguration())
	if len(problems) > 0 {
		known := p.known(manifest.GetConfiguration())
		if known == nil {
			if problems.Away() || p.hasStarted() {
				p.report(ctx, problems, nil)
				return nil, &supervise.UnresolvedError{Instance: p.Name, Err: problems}
			}
			return nil, problems
		}
		found = known
	}
	p.mu.Lock()
	isRefresh := p.next != nil
	staysRefused := !isRefresh && len(problems) == 0 && p.applied != nil && p.refused != nil && p.refused.bound.Equal(found.bound)
	p.mu.Unlock()
	if staysRefused {
		if known := p.known(manifest.GetConfiguration()); known != nil {
			found = known
		}
	}
	p.mu.Lock()
	p.tried = found
	p.mu.Unlock()
	if !isRefresh && !staysRefused { // else it has been reported, or how it ends will be
		p.report(ctx, problems, nil)
	}
	return found.bound.Request(p.host()), nil
}

// newest returns the values for a process that is about to start.
func (p *Plugin) newest(ctx context.Context, schema *pluginv1.ConfigurationSchema) (*values, settings.Problems) {
	p.mu.Lock()
	resolved, isFirst, written, from := p.next, p.tried == nil, p.written, p.config
	p.mu.Unlock()
	if resolved == nil && (from == nil || isFirst && written.IsResolved()) {
		resolved = written // They have just been resolved, or have nothing to resolve.
	}
	if resolved == nil {
		var problems settings.Problems
		if resolved, problems = written.Resolve(ctx, from.Round()); len(problems) > 0 {
			return nil, problems
		}
	}
	bound, problems := resolved.Bind(schema)
	if len(problems) > 0 {
		return nil, problems
	}
	return &values{resolved, bound}, nil
}

// known returns the values that were used last, or that the configuration was loaded with;
// nil if there are none.
func (p *Plugin) known(schema *pluginv1.ConfigurationSchema) *values {
	p.mu.Lock()
	resolved, applied := p.written, p.applied
	p.mu.Unlock()
	if applied != nil {
		resolved = applied.settings
	}
	bound, problems := resolved.Bind(schema)
	if len(problems) > 0 {
		return nil
	}
	return &values{resolved, bound}
}

// Refused returns what the plugin objects to, with the places in the configuration.
func (p *Plugin) Refused(diagnostics []*pluginv1.Diagnostic) error {
	p.mu.Lock()
	tried := p.tried
	p.mu.Unlock()
	var problems settings.Problems
	for _, diagnostic := range diagnostics {
		if diagnostic.GetSeverity() != pluginv1.Severity_SEVERITY_WARNING {
			problems = append(problems, tried.bound.Problem(diagnostic))
		}
	}
	return problems.Err()
}

// Changed reports a change of state to the fleet's observer.
func (p *Plugin) Changed(is supervise.Status) {
	if is.State == supervise.Ready {
		p.apply()
	}
	if p.options.Observer != nil {
		p.options.Observer.Sandboxed(is.Instance, is.Sandbox)
		p.options.Observer.PluginChanged(is.Instance, string(is.State), is.Restarts, is.Manifest, is.Err)
	}
}

// apply takes in that calls go to the process that was configured last.
func (p *Plugin) apply() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.tried == nil {
		return
	}
	if p.applied == nil || !p.applied.bound.Equal(p.tried.bound) {
		p.version++
	}
	p.applied = p.tried
	p.showLocked()
}

// Version returns which values the process has that calls go to: another one if they have
// changed.
func (p *Plugin) Version() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.version
}

// mayRotate reports whether its values can be others another time.
func (p *Plugin) mayRotate() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.attach == nil && p.config != nil && (p.written.HasReferences() || p.applied != nil && len(p.applied.bound.Files()) > 0)
}

// source returns the settings as the file has them now, and the configuration whose stores
// resolve them; nil without one.
func (p *Plugin) source() (*settings.Settings, *config.Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.written, p.config
}

// Move takes in that the file now has the same entry elsewhere: later problems are at its new
// place. The process stays.
func (p *Plugin) Move(to *Plugin, from *config.Config) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written, p.config = to.Settings, from
}

// Files returns the files that its values come from, as absolute paths: those that references
// name, and those whose content is a value.
func (p *Plugin) Files() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	paths := p.written.Files()
	if p.tried != nil {
		paths = append(paths, p.tried.bound.Files()...)
	}
	return paths
}

// Refresh resolves the plugin's references, in this round, and reads the files of its
// configuration. If something has changed, another process is configured, validated and
// takes over; a plugin that is not ready is started at once. The error says why the values
// before stay in use; it is logged and on the board already.
func (p *Plugin) Refresh(ctx context.Context, round *secret.Round) (changed bool, err error) {
	if !p.hasStarted() || !p.mayRotate() {
		return false, nil
	}
	if err := p.refreshing.Acquire(ctx, 1); err != nil {
		return false, err
	}
	defer p.refreshing.Release(1)
	for range 2 { // A process that started meanwhile may have older values.
		again, err := p.refresh(ctx, round)
		if err != nil || !again {
			return changed, err
		}
		changed = true
	}
	return changed, nil
}

// refresh returns whether another process was started.
func (p *Plugin) refresh(ctx context.Context, round *secret.Round) (changed bool, err error) {
	written, _ := p.source()
	resolved, problems := written.Resolve(ctx, round)
	var bound *settings.Bound
	if len(problems) == 0 && p.running.Manifest() != nil {
		bound, problems = resolved.Bind(p.running.Manifest().GetConfiguration())
	}
	if len(problems) > 0 {
		p.report(ctx, problems, nil)
		return false, problems
	}
	isReady := p.IsReady()
	p.mu.Lock()
	inUse := p.tried
	if isReady {
		inUse = p.applied
	}
	if inUse != nil && bound != nil && inUse.bound.Equal(bound) {
		p.refused = nil
		p.applyLater(inUse, &values{resolved, bound})
		p.mu.Unlock()
		p.report(ctx, nil, nil)
		return false, nil
	}
	p.next = resolved
	p.mu.Unlock()
	references := newReferences(inUse, resolved)
	ctxzap.Extract(ctx).Info("secrets of the plugin have new values", zap.String("plugin", p.Name), zap.Strings("references", references))
	err = p.running.Replace(ctx, validateProcess)
	p.mu.Lock()
	p.next, p.refused = nil, nil
	if err != nil && bound != nil {
		p.refused = &values{resolved, bound}
	}
	p.mu.Unlock()
	if err != nil {
		failed := &RotationError{Instance: p.Name, References: references, Err: err}
		p.report(ctx, nil, failed)
		return false, failed
	}
	p.report(ctx, nil, nil)
	return true, nil
}

// applyLater takes in the newest versions, expiries and places of values that have not
// changed. The caller holds mu.
func (p *Plugin) applyLater(inUse, later *values) {
	if inUse != p.applied {
		return
	}
	if p.tried == p.applied { // else a process with others is starting
		p.tried = later
	}
	p.applied = later
}

// newReferences are those whose values are others than before.
func newReferences(before *values, now *settings.Settings) []string {
	known := map[secret.Reference]string{}
	if before != nil {
		for _, one := range before.settings.Resolved() {
			known[one.Reference] = one.Text.Reveal()
		}
	}
	references := []string{}
	for _, one := range now.Resolved() {
		if text, ok := known[one.Reference]; (!ok || text != one.Text.Reveal()) && !slices.Contains(references, one.Reference.String()) {
			references = append(references, one.Reference.String())
		}
	}
	return references
}

// validateProcess has a process try its credentials.
func validateProcess(ctx context.Context, conn grpc.ClientConnInterface) error {
	_, err := connectorv2.NewConnectorServiceClient(conn).Validate(ctx, &connectorv2.ConnectorServiceValidateRequest{})
	return err
}

// tryLimit bounds how long a reload waits for an app's answer to changed plugins.
const tryLimit = 30 * time.Second

// RefusedErr lets plugins that were started try their credentials, all at once, and returns
// that the app of one refuses them. That an app is away is no error.
func RefusedErr(ctx context.Context, plugins []*Plugin) error {
	failed := make([]error, len(plugins))
	var trying sync.WaitGroup
	for i, p := range plugins {
		trying.Go(func() {
			defer p.running.Hold()()
			_ = p.running.AwaitTurn(ctx) // Where ctx has ended, the call fails too.
			ctx, cancel := context.WithTimeout(ctx, tryLimit)
			defer cancel()
			err := validateProcess(ctx, p.running.Conn())
			if code := status.Code(err); code == codes.Unauthenticated || code == codes.PermissionDenied {
				failed[i] = fmt.Errorf("plugin %q: the app refuses what its changed entry has, and its process goes on: %s", p.Name, status.Convert(err).Message())
			}
		})
	}
	trying.Wait()
	return errors.Join(failed...)
}

// IsReady reports whether calls to the plugin are answered: by its process, or by the one that
// is started for them.
func (p *Plugin) IsReady() bool {
	state := p.running.Status().State
	return state == supervise.Ready || state == supervise.Idle
}

// Renew looks for newer values than those of a version, which the app has refused; see
// [secret.Search.Find].
func (p *Plugin) Renew(ctx context.Context, refused uint64) error {
	return p.search.Find(ctx, p, refused, true)
}

// Look is [Plugin.Refresh] in a round of its references; see [secret.Renewable].
func (p *Plugin) Look(ctx context.Context) (others bool, err error) {
	before := p.lastTried()
	_, from := p.source()
	_, err = p.Refresh(ctx, from.Round())
	now := p.lastTried()
	return before != nil && now != nil && !now.bound.Equal(before.bound), err
}

// lastTried returns the values of the last process that was configured; nil if none was.
func (p *Plugin) lastTried() *values {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tried
}

// Refresh resolves the references of these plugins in one round, at the same time, and has
// other processes take over where something has changed; see [Plugin.Refresh].
func (f *Fleet) Refresh(ctx context.Context, plugins []*Plugin) error {
	rounds, failed := map[*config.Config]*secret.Round{}, make([]error, len(plugins))
	var refreshing sync.WaitGroup
	for i, p := range plugins {
		_, from := p.source()
		if from == nil {
			continue
		}
		round := rounds[from] // While a reload replaces plugins, there are some of two configurations.
		if round == nil {
			round = from.Round()
			rounds[from] = round
		}
		refreshing.Go(func() { _, failed[i] = p.Refresh(ctx, round) })
	}
	refreshing.Wait()
	return errors.Join(failed...)
}

// RefreshFirst is Refresh before a sync or another task, which waits for it at most
// refreshLimit. What fails is logged, and the task goes on with what is known.
func (f *Fleet) RefreshFirst(ctx context.Context, plugins []*Plugin) {
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	_ = f.Refresh(ctx, plugins)
}

// report puts how the plugin's credentials are on the board, and logs it where that has
// changed: problems are of references that are not resolved, refused is of new values that do
// not work.
func (p *Plugin) report(ctx context.Context, problems settings.Problems, refused *RotationError) {
	log := ctxzap.Extract(ctx).With(zap.String("plugin", p.Name))
	words := problems.ByReference()
	var text []string
	for _, problem := range problems {
		text = append(text, problem.Message)
	}
	if refused != nil {
		text = append(text, refused.Error())
		for _, reference := range refused.References {
			words[reference] = refused.Public()
		}
		if len(refused.References) == 0 {
			words[""] = refused.Public()
		}
	}
	p.mu.Lock()
	before, now := p.shown, strings.Join(text, "; ")
	p.shown, p.wrong = now, words
	p.showLocked()
	p.mu.Unlock()
	switch {
	case now == before:
	case refused != nil:
		log.Warn("new secrets of the plugin do not work; those before stay in use", zap.Error(refused))
	case len(problems) > 0:
		log.Warn("secrets of the plugin cannot be resolved; those known stay in use", zap.Error(problems))
	default:
		log.Info("the secrets of the plugin are in order again")
	}
}

// showLocked puts how the credentials are on the board. The caller holds mu.
func (p *Plugin) showLocked() {
	if p.options.Observer == nil {
		return
	}
	var credentials []secret.Credential
	if p.applied != nil {
		credentials = p.applied.bound.Credentials()
	}
	p.options.Observer.Credentials(p.Name, "", secret.WithProblems(credentials, p.wrong))
}

// host returns what a process gets to know of the host.
func (p *Plugin) host() *pluginv1.Host {
	return &pluginv1.Host{UserAgent: "baton-host/" + p.options.Version, LogLevel: cmp.Or(p.LogLevel, p.options.LogLevel), PasswordKey: p.key.Private()}
}
