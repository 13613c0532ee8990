package support

import (
	"cmp"
	"context"
	"debug/buildinfo"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host/internal/config/settings"
	"github.com/batonhost/baton-host/host/internal/secret"
	"github.com/batonhost/baton-host/host/internal/status"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// Source is what a support file is made of.
type Source struct {
	// Version and Protocol are those of this command, SDKVersion that of its SDK.
	Version, SDKVersion string
	Protocol            int
	Outline             Outline
	// ConfigErr is why the configuration does not load, LockErr why its lock file cannot be
	// read.
	ConfigErr, LockErr error
	Programs           []Program
	StateDir           string // empty: there is none
	// Running is the host that runs; nil: none does, or RunningErr is why it cannot be asked.
	Running    *Running
	RunningErr error
}

// Program is the program of a configured plugin.
type Program struct {
	Plugin, App string
	Path        string // empty: there is none
	Locked      string // its version in the lock file
	// Unmodified says that it knows no host.
	Unmodified bool
	Err        error
}

// Running is what a host that runs knows of itself.
type Running struct {
	Status status.Snapshot `json:"status"`
	// Metrics are missing where an older host has answered.
	Metrics []status.Metric `json:"metrics,omitempty"`
}

// writer writes a support file.
type writer struct {
	*censor
	*terminal.Sections
}

// title begins a section.
func (w *writer) title(text string) {
	w.Line("")
	w.Line("## %s", text)
}

// Text returns the support file of a source.
func Text(ctx context.Context, from Source) (string, error) {
	var text strings.Builder
	w := &writer{censor: newCensor(), Sections: terminal.NewSections(&text)}
	// All names have an alias before the first text is shown.
	outline := from.Outline.lines(w.censor)
	for _, one := range from.Programs {
		w.plugins.alias(one.Plugin)
	}
	if from.Running != nil {
		meetStatus(w.censor, from.Running.Status)
	}
	var state stateDir
	if from.StateDir != "" {
		state = readStateDir(from.StateDir)
		state.meet(w.censor)
	}

	w.Line("# baton-host support file, %s", moment(time.Now()))
	w.Line("Plugins, uploads, stores, helpers and fields have aliases here (plugin-1, …). … stands for what is not the host's own:")
	w.Line("secrets, addresses, paths, and names of people, companies and machines.")
	w.writeVersions(ctx, from)
	w.writePrograms(from)
	w.writeConfig(from.ConfigErr, outline)
	w.title("Host that runs")
	switch {
	case from.Running != nil:
		w.writeStatus(from.Running.Status)
	case from.RunningErr != nil:
		w.Line("It cannot be asked: %s", w.text(from.RunningErr.Error()))
	default:
		w.Line("No host runs on the state directory.")
	}
	if from.StateDir != "" {
		w.writeStateDir(state, from.Running == nil)
	}
	w.writeErrors(from.Running, state)
	if from.Running != nil {
		w.writeMetrics(from.Running.Metrics)
	}
	return text.String(), w.Err()
}

// environment are the variables of which the file has whether they are set.
var environment = []string{
	"BATON_CLIENT_ID", "BATON_CLIENT_SECRET", "BATON_HOST_ID", "BATON_C1_API_HOST", "BATON_LOG_LEVEL", "BATON_OTEL_COLLECTOR_ENDPOINT",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "STATE_DIRECTORY", "TMPDIR", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG",
	"KUBERNETES_SERVICE_HOST", "INVOCATION_ID",
}

func (w *writer) writeVersions(ctx context.Context, from Source) {
	w.title("Versions")
	rows := [][]string{
		{"this command", version(from.Version), strconv.Itoa(from.Protocol), version(from.SDKVersion), version(runtime.Version())},
	}
	if from.Running != nil {
		is := from.Running.Status.Host
		rows = append(rows, []string{"host that runs", version(is.Version), "-", version(is.SDKVersion), version(is.GoVersion)})
	}
	w.Table([]string{"PROGRAM", "VERSION", "PROTOCOL", "SDK", "GO"}, rows)
	w.Line("")
	w.Line("system %s/%s, kernel %s, CPUs %d", runtime.GOOS, runtime.GOARCH, kernel(ctx), runtime.NumCPU())
	var set []string
	for _, name := range environment {
		if os.Getenv(name) != "" {
			set = append(set, name)
		}
	}
	w.Line("variables that are set for this command: %s", cmp.Or(strings.Join(set, " "), "none"))
}

// kernelForm finds the numbers of a release of a kernel; what follows may name who built it.
var kernelForm = regexp.MustCompile(`^\d+(\.\d+)*(-\d+)?`)

// kernel returns the release of the kernel.
func kernel(ctx context.Context) string {
	if runtime.GOOS == "windows" {
		return "-"
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		release, _ = exec.CommandContext(ctx, "uname", "-r").Output()
	}
	return cmp.Or(kernelForm.FindString(string(release)), "-")
}

func (w *writer) writePrograms(from Source) {
	if from.LockErr == nil && len(from.Programs) == 0 {
		return
	}
	w.title("Programs of plugins")
	if from.LockErr != nil {
		w.Line("The lock file cannot be used: %s", w.text(from.LockErr.Error()))
	}
	var rows [][]string
	for _, one := range from.Programs {
		row := []string{w.plugins.alias(one.Plugin), "", version(one.Locked), "-", "-", "-", strconv.FormatBool(one.Unmodified), "-"}
		if one.Err != nil {
			row[7] = w.text(one.Err.Error())
		}
		if one.Path != "" {
			row[3], row[4], row[5] = w.built(one.Path)
		}
		row[1] = w.connector("baton-" + one.App)
		rows = append(rows, row)
	}
	w.Table([]string{"PLUGIN", "CONNECTOR", "LOCKED", "BUILT", "SDK", "GO", "UNMODIFIED", "PROBLEM"}, rows)
}

// published is where the programs of connectors are built from whose names are public.
const published = "github.com/conductorone/"

// built returns the versions that stand in a program that Go has built. The name of one whose
// source is published is public from then on.
func (w *writer) built(path string) (module, sdk, compiler string) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "-", "-", "-"
	}
	if name, ok := strings.CutPrefix(info.Main.Path, published); ok {
		w.public[name] = true
	}
	sdk = "-"
	for _, one := range info.Deps {
		if one.Path == published+"baton-sdk" {
			sdk = version(one.Version)
		}
	}
	return version(info.Main.Version), sdk, version(info.GoVersion)
}

func (w *writer) writeConfig(err error, outline []string) {
	w.title("Configuration, without values")
	switch problems, ok := err.(settings.Problems); { //nolint:errorlint // As it is returned.
	case err == nil && len(outline) == 0:
		w.Line("No file was read.")
	case ok:
		w.Line("It does not load:")
		for _, one := range problems.Sorted() {
			w.Line("  line %d, column %d: %s", one.Line, one.Column, w.text(cmp.Or(one.Words, one.Message)))
		}
	case err != nil:
		w.Line("It does not load: %s", w.text(err.Error()))
	}
	for _, line := range outline {
		w.Line("  %s", line)
	}
}

// meetStatus gives aliases to the names of a status.
func meetStatus(c *censor, is status.Snapshot) {
	for _, one := range is.Plugins {
		c.plugins.alias(one.Name)
	}
	for _, u := range is.Uploads {
		c.uploads.alias(u.Name)
		for _, one := range u.Parts {
			c.plugins.alias(one.Plugin)
		}
		for _, one := range u.History {
			meetSync(c, one)
		}
	}
}

func (w *writer) writeStatus(is status.Snapshot) {
	w.Line("started %s, stopping: %v", moment(is.Host.StartedAt), is.Host.Stopping)
	if is.Host.LastReload != nil {
		w.Line("configuration reloaded %s: %s", moment(is.Host.LastReload.At), w.text(cmp.Or(is.Host.LastReload.Why, "accepted")))
	}
	var uploads, syncs, past, plugins, credentials [][]string
	for _, u := range is.Uploads {
		alias := w.uploads.alias(u.Name)
		connection := "connected"
		if !u.Connection.Connected {
			connection = "not connected: " + w.text(u.Connection.Why)
		}
		uploads = append(uploads, []string{alias, "", w.one(string(u.State)), moment(u.Since), "-", "-", "-", "-", "-", joined(w.text(u.Why), connection)})
		for _, part := range u.Parts {
			uploads = append(uploads, []string{
				"", w.plugins.alias(part.Plugin), w.one(string(part.State)), "-", moment(part.AsOf), strconv.Itoa(part.Accounts), strconv.Itoa(part.StaleAccounts),
				strconv.Itoa(part.SkippedResources), w.one(string(part.Evidence)), joined(w.text(part.Why), w.text(part.EvidenceReason)),
			})
		}
		for _, one := range u.Syncing {
			for _, part := range one.Plugins {
				syncs = append(syncs, []string{
					alias, moment(one.StartedAt), strconv.FormatBool(one.Whole), strconv.FormatBool(one.Sending), w.plugins.alias(part.Plugin), strconv.Itoa(part.Accounts),
					strconv.Itoa(part.Resources), strconv.Itoa(part.Grants), strconv.Itoa(part.Pages), w.text(cmp.Or(part.Waits, part.AnsweredFor, part.Missing)),
				})
			}
		}
		past = append(past, w.history(alias, u.History)...)
		credentials = append(credentials, w.credentials(alias, u.Credentials)...)
	}
	for _, p := range is.Plugins {
		plugins = append(plugins, []string{
			w.plugins.alias(p.Name), w.one(p.State), moment(p.Since), strconv.Itoa(p.Restarts), w.connector(p.Connector), version(p.Version), version(p.SDKVersion),
			w.one(p.Sandbox), strconv.FormatBool(p.ExposesSecrets), joined(w.text(p.Why), w.text(p.SandboxDetail)),
		})
		credentials = append(credentials, w.credentials(w.plugins.alias(p.Name), p.Credentials)...)
	}
	w.Table([]string{"UPLOAD", "PLUGIN", "STATE", "SINCE", "LAST READ", "ACCOUNTS", "STALE", "SKIPPED", "EVIDENCE", "WHY"}, uploads)
	w.Table([]string{"PROCESS OF", "STATE", "SINCE", "RESTARTS", "CONNECTOR", "VERSION", "SDK", "SANDBOX", "EXPOSES SECRETS", "WHY"}, plugins)
	w.Table([]string{"SYNC OF", "SINCE", "WHOLE", "SENDING", "PLUGIN", "ACCOUNTS", "RESOURCES", "GRANTS", "PAGES", "WHY"}, syncs)
	w.Table(historyHead, past)
	w.Table([]string{"CREDENTIAL OF", "KIND", "EXPIRES", "PROBLEM"}, credentials)
}

var historyHead = []string{"SYNC OF", "ENDED", "STATE", "TOOK", "BYTES", "ACCOUNTS", "SKIPPED", "EVIDENCE", "WHY"}

// history returns a row for each sync that has ended.
func (w *writer) history(upload string, syncs []status.Sync) [][]string {
	var rows [][]string
	for _, one := range syncs {
		rows = append(rows, []string{
			upload, moment(one.At), w.one(string(one.State)), one.Took.Round(time.Millisecond).String(), strconv.FormatInt(one.Bytes, 10), strconv.Itoa(one.Accounts),
			strconv.Itoa(one.SkippedResources), w.one(string(one.Evidence)), w.text(one.Why),
		})
	}
	return rows
}

// credentials returns a row for each credential: where it is kept, and never what it is.
func (w *writer) credentials(of string, all []secret.Credential) [][]string {
	var rows [][]string
	for _, one := range all {
		kind := "value in the configuration or the environment"
		if one.Reference != "" {
			kind = w.reference(one.Reference)
		}
		rows = append(rows, []string{of, kind, moment(one.Expires), w.text(one.Problem)})
	}
	return rows
}

// writeErrors writes the last errors: those of the host that runs, else those that the history
// has.
func (w *writer) writeErrors(running *Running, state stateDir) {
	w.title("Last errors")
	var rows [][]string
	if running != nil {
		for _, one := range running.Status.Errors {
			rows = append(rows, []string{moment(one.At), strconv.Itoa(one.Times), w.uploads.alias(one.Upload), w.plugins.alias(one.Plugin), w.text(one.What), w.text(one.Why)})
		}
		w.Table([]string{"AT", "TIMES", "UPLOAD", "PLUGIN", "WHAT", "WHY"}, rows)
	} else {
		for _, upload := range sortedKeys(state.history) {
			failed := slices.DeleteFunc(slices.Clone(state.history[upload]), func(one status.Sync) bool { return one.Why == "" })
			rows = append(rows, w.history(w.uploads.alias(upload), failed)...)
			for _, one := range failed {
				for _, plugin := range sortedKeys(one.FailedPlugins) {
					rows = append(rows, []string{w.uploads.alias(upload), moment(one.At), "plugin", "-", "-", "-", "-", "-", w.plugins.alias(plugin) + ": " + w.text(one.FailedPlugins[plugin])})
				}
			}
		}
		w.Table(historyHead, rows)
	}
	if len(rows) == 0 {
		w.Line("None is known.")
	}
}

// writeMetrics writes the metrics as Prometheus has them, but for their labels.
func (w *writer) writeMetrics(metrics []status.Metric) {
	w.title("Metrics")
	if len(metrics) == 0 {
		w.Line("The host that runs does not report them.")
	}
	for _, one := range metrics {
		var labels []string
		for _, name := range sortedKeys(one.Labels) {
			labels = append(labels, fmt.Sprintf("%s=%q", name, w.label(name, one.Labels[name])))
		}
		set := ""
		if len(labels) > 0 {
			set = "{" + strings.Join(labels, ",") + "}"
		}
		w.Line("%s%s %s", one.Name, set, strconv.FormatFloat(one.Value, 'f', -1, 64))
	}
}

// label returns the value of a label.
func (w *writer) label(name, value string) string {
	switch {
	case value == "":
		return ""
	case name == "plugin":
		return w.plugins.alias(value)
	case name == "upload":
		return w.uploads.alias(value)
	case name == "connector":
		return w.connector(value)
	case strings.HasSuffix(name, "version"):
		return version(value)
	case name == "reference" && strings.HasPrefix(value, "${"):
		return w.reference(value)
	case name == "reference":
		return hidden
	}
	return w.one(strings.ReplaceAll(value, "_", " "))
}

// joined returns the texts that are not empty as one.
func joined(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(text string) bool { return text == "" }), "; ")
}

// moment returns a time as it is written; "-" for none.
func moment(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format(time.RFC3339)
}

func sortedKeys[Value any](of map[string]Value) []string { return slices.Sorted(maps.Keys(of)) }
