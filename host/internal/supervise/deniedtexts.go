package supervise

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"
	"google.golang.org/grpc/status"

	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/pluginlog"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
)

// deniedTexts finds in what a plugin in a sandbox reports that the system has denied it
// something, and names the key that opens it. One of nil finds nothing.
type deniedTexts struct {
	policy *sandbox.Policy
	// program is what is executed, which is open.
	program string
	log     *zap.Logger
	logged  atomic.Bool
	next    func(pluginlog.Line) // nil: none
}

// deniedTexts returns what finds denials in the texts of a process; nil: it is in no sandbox. The
// policy is that of the process.
func (s Spec) deniedTexts(log *zap.Logger) *deniedTexts {
	if s.SandboxMode() != sandbox.On || sandbox.Kernel().Obstacle != "" {
		return nil
	}
	return &deniedTexts{program: s.Path, log: log, next: s.Observe}
}

// observe logs the first denial in the lines of a process, and passes each line on.
func (d *deniedTexts) observe(line pluginlog.Line) {
	if !d.logged.Load() {
		if hint := d.hint(line.Text); hint != "" && d.logged.CompareAndSwap(false, true) {
			d.log.Warn(hint)
		}
	}
	if d.next != nil {
		d.next(line)
	}
}

// explain adds to an error which key opens what was denied.
func (d *deniedTexts) explain(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*ExitError](err); ok {
		return err // It has its own.
	}
	text := err.Error()
	hint := d.hint(text)
	if hint == "" || strings.Contains(text, hint) {
		return err
	}
	if _, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		said := status.Convert(err).Proto()
		said.Message += "; " + hint
		return status.ErrorProto(said)
	}
	return fmt.Errorf("%w; %s", err, hint)
}

// denialSigns are in every text that deniedWords matches, and quick to look for in each line
// of a log.
var denialSigns = []string{"ermission denied", "peration not permitted", "EACCES", "EPERM", "rrno 1", "AccessDenied"}

// Parts of the texts of systems, languages and libraries about what is denied.
var (
	deniedWords = regexp.MustCompile(`[Pp]ermission denied|[Oo]peration not permitted|AccessDeniedException|\bEACCES\b|\bEPERM\b|\[[Ee]rrno 13?\]`)
	// refusedWords are those of a call that the filter refuses: Landlock has the others.
	refusedWords = regexp.MustCompile(`peration not permitted|EPERM|rrno 1\]`)
	// ofSystem match texts that are the system's, and not those of an app.
	ofSystem = regexp.MustCompile(`(?i)\bEACCES\b|\berrno\b|os error|PermissionError|shared object`)
	// quotedBehind is a path behind the words, as Python and Node have it.
	quotedBehind = regexp.MustCompile(`^([^'"/]{0,60})['"](/[^'"]+)['"]`)
	// bareBehind is one as Java has it.
	bareBehind = regexp.MustCompile(`^: (/[^\s'"]+)`)
	// bareBefore is one without quotation marks that ends before the words.
	bareBefore = regexp.MustCompile(`(?:^|[\s(=])(/.*)$`)
	// writing are words of what changes a directory or a file.
	writing = regexp.MustCompile(`(?i)\b(mkdir\w*|mkdtemp|mkstemp|mknod|creat\w*|touch|writ\w*|append\w*|sav\w*|remov\w*|delet\w*|unlink\w*|rmdir\w*|renam\w*|symlink|link|truncate|copyfile|bind|listen)\b`)
	// twoPaths are calls whose second path is the one that is made.
	twoPaths = regexp.MustCompile(`\b(rename|link|symlink) `)
	// connecting are words of connections, and ports are their ports.
	connecting = regexp.MustCompile(`(?i)\bconnect\w*\b|\bdial\b|\bport\b`)
	ports      = []*regexp.Regexp{
		regexp.MustCompile(`(?i)\bport[ =:]+(\d{1,5})\b`),
		regexp.MustCompile(`\bdial \w+ \S+:(\d{1,5}): connect: `),
		regexp.MustCompile(`\bconnect \w+ \S+:(\d{1,5})\b`),
		regexp.MustCompile(`\('[^']+', (\d{1,5})[,)]`),
		regexp.MustCompile(`(?i)\bconnect\w* (?:failed )?(?:to )?\S+:(\d{1,5})\b`),
	}
	// connectionFailed and ofConnection match texts about a connection that do not have its
	// port: the words, and what of them is the system's.
	connectionFailed = regexp.MustCompile(`(?i)\bconnect\w*\b|\bcontact\b|\bsocket`)
	ofConnection     = regexp.MustCompile(`\b(?:Socket|Connect)Exception\b|\bconnect failed\b`)

	quotationMarks = strings.NewReplacer(`\"`, `"`, "‘", "'", "’", "'", "“", `"`, "”", `"`, "`", "'")
	// plainPath needs no quotation marks in YAML.
	plainPath = regexp.MustCompile(`^/[\w./@+-]*$`)
)

// mostPath is how long a path of a plugin's text may be that is shown.
const mostPath = 256

// hint returns a sentence about the first denial in a text, with the key that opens what
// was denied; empty: the text has no path that the sandbox can be the reason of.
func (d *deniedTexts) hint(text string) string {
	if d == nil || !slices.ContainsFunc(denialSigns, func(sign string) bool { return strings.Contains(text, sign) }) {
		return ""
	}
	for line := range strings.Lines(text) {
		for part := range strings.SplitSeq(line, " / ") { // As last words are joined.
			if hint := d.hintOf(quotationMarks.Replace(strings.TrimSpace(part))); hint != "" {
				return hint
			}
		}
	}
	return ""
}

func (d *deniedTexts) hintOf(text string) string {
	at := deniedWords.FindStringIndex(text)
	if at == nil {
		return ""
	}
	if refusedWords.MatchString(text[at[0]:at[1]]) {
		return "the plugin is in a sandbox; if that has refused this call of the system, only sandbox: off in its entry allows it, and then the plugin can read the secrets of all others"
	}
	path, how := pathIn(text[:at[0]], text[at[1]:])
	if path != "" {
		return d.hintOfPath(path, writing.MatchString(how))
	}
	isConnection := connecting.MatchString(text)
	if port := portIn(text); port != "" && isConnection {
		return d.hintOfPort(port)
	}
	isOfSystem := ofSystem.MatchString(text)
	if len(d.policy.Connect) > 0 && connectionFailed.MatchString(text) && portIn(text) == "" && (isOfSystem || ofConnection.MatchString(text)) {
		return "the plugin is in a sandbox; if that has denied this connection, open its port in the plugin's entry, beside those that are there: sandbox: {connect: [PORT]}"
	}
	if isOfSystem && !isConnection {
		return "the plugin is in a sandbox; if that has denied this, open what the plugin needs in its entry: sandbox: {read: [PATH], write: [PATH]}"
	}
	return ""
}

// hintOfPort is empty where no port is closed.
func (d *deniedTexts) hintOfPort(port string) string {
	number, err := strconv.ParseUint(port, 10, 16)
	if open := d.policy.Ports(); err != nil || len(open) == 0 || slices.Contains(open, uint16(number)) {
		return ""
	}
	var open []string
	for _, one := range append(slices.Clone(d.policy.Connect), uint16(number)) {
		open = append(open, strconv.Itoa(int(one)))
	}
	return fmt.Sprintf("the plugin is in a sandbox that keeps it from port %d; open that in its entry: sandbox: {connect: [%s]}", number, strings.Join(open, ", "))
}

// hintOfPath is empty where the path is open, so that something else has denied it.
func (d *deniedTexts) hintOfPath(path string, isWrite bool) string {
	path = filepath.Clean(path)
	in := func(dirs []string) bool {
		return slices.ContainsFunc(dirs, func(dir string) bool { return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/") })
	}
	if path == d.program || in(d.policy.Write) {
		return ""
	}
	shown := yamlPath(path)
	if d.policy.IsNotFor(path) {
		return fmt.Sprintf("the plugin is in a sandbox that keeps it from %s, which is not for it: find out why it wants that", shown)
	}
	if isWrite || in(d.policy.Read) {
		return fmt.Sprintf("the plugin is in a sandbox; if that keeps it from writing to %s, open this or a directory above it, which must exist, in its entry: sandbox: {write: [%s]}", shown, shown)
	}
	return fmt.Sprintf("the plugin is in a sandbox; if that keeps it from %s, open this in its entry: sandbox: {read: [%s]}, or write in place of read if it writes there, with a directory that exists if it makes this", shown, shown)
}

func yamlPath(path string) string {
	path = errtext.Cut(errtext.Printable(path, ""), mostPath)
	if plainPath.MatchString(path) {
		return path
	}
	return strconv.Quote(path)
}

func portIn(text string) string {
	for _, form := range ports {
		if found := form.FindStringSubmatch(text); found != nil {
			return found[1]
		}
	}
	return ""
}

// pathIn returns the path that a text is about, and the words by which it says what was to
// be done; before and behind are what is around the words of the denial.
func pathIn(before, behind string) (path, how string) {
	if found := quotedBehind.FindStringSubmatch(behind); found != nil {
		return found[2], found[1]
	}
	if found := bareBehind.FindStringSubmatch(behind); found != nil {
		return found[1], ""
	}
	before = strings.TrimRight(before, " (:[")
	if strings.HasSuffix(before, ": connect") {
		return "", "" // To connect to a socket with a path is not denied.
	}
	before = strings.TrimSuffix(before, ": bind")
	if end := len(before) - 1; end > 0 && (before[end] == '"' || before[end] == '\'') {
		begin := strings.LastIndexByte(before[:end], before[end])
		if begin >= 0 && strings.HasPrefix(before[begin+1:end], "/") {
			return before[begin+1 : end], lastPart(before[:begin])
		}
		return "", ""
	}
	part := lastPart(before)
	found := bareBefore.FindStringSubmatchIndex(part)
	if found == nil {
		return "", ""
	}
	path, how = part[found[2]:], part[:found[2]]
	if second := strings.LastIndex(path, " /"); second >= 0 && twoPaths.MatchString(how) {
		path = path[second+1:]
	}
	return path, how
}

// lastPart returns what follows the last colon or quotation mark in a text.
func lastPart(text string) string {
	if at := strings.LastIndexAny(text, `"'`); at >= 0 {
		text = text[at+1:]
	}
	if at := strings.LastIndex(text, ": "); at >= 0 {
		text = text[at+2:]
	}
	return text
}
