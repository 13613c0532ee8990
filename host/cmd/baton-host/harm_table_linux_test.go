package main_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/host/cmd/baton-host/testdata/baton-harm/attack"
	"github.com/batonhost/baton-host/host/internal/proc/cgroup"
	"github.com/batonhost/baton-host/host/internal/proc/sandbox"
)

// attacksOf are the attacks behind each row of the table in docs/decisions/malicious-plugin.md, by its first
// cell.
var attacksOf = map[string][]string{
	"the host's memory, memory map, environment and descriptors, ptrace": {
		"memory of the host", "memory of the host by a call", "memory map of the host", "environment of the host",
		"list of descriptors of the host", "descriptor of the host by a call", "ptrace of the host",
	},
	"those of another plugin": {
		"memory of another plugin", "memory of another plugin by a call", "memory map of another plugin", "environment of another plugin",
		"list of descriptors of another plugin", "descriptor of another plugin", "descriptor of another plugin by a call", "ptrace of another plugin",
	},
	"names and arguments of other processes": {"arguments of the host", "arguments of another plugin"},
	"the state directory with `control.token`, the configuration": {
		"listing the state directory", "control.token", "writing to the state directory", "configuration", "writing to the configuration", "replacing the configuration",
	},
	"scratch and socket directories of other plugins": {
		"listing another plugin's scratch directory", "another plugin's scratch directory", "writing to another plugin's scratch directory",
		"listing another plugin's directory of sockets", "writing to another plugin's directory of sockets",
	},
	"`/etc/shadow`": {"/etc/shadow"},
	"replacing its own program, another plugin's or the host's, or a file beside one": {
		"a file beside its own program", "replacing its own program", "a file beside another plugin's program", "replacing another plugin's program",
		"a file beside the host's program", "replacing the host's program",
	},
	"size and times of a file whose path it knows, names of files that are made in a directory": {"size and times of a file of the host", "watching the state directory"},
	"mode, owner and times of a file of its user whose path it knows":                           {"mode of the state directory"},
	"signals to the host and to other plugins":                                                  {"signal to the host", "signal to another plugin"},
	"limits, priority and processors of the host and of other plugins": {
		"limits of the host", "limits of another plugin", "priority of the host", "priority of another plugin", "processors of the host", "processors of another plugin",
	},
	"a child in a session or a process group of its own, which outlives it": {"a child in a session of its own", "a child in a group of its own"},
	"a child in its process group, which outlives it":                       {"a child in its group"},
	"leaving its control group":                                             {"leaving its control group"},
	"namespaces, mounts, BPF, perf, keyrings, `io_uring`, kernel modules, `userfaultfd`, MPTCP": {
		"a user namespace", "mount", "BPF", "perf", "the keyring", "io_uring", "userfaultfd", "a kernel module", "MPTCP",
	},
	"abstract unix sockets of others":                                      {"abstract socket of another plugin"},
	"a connection to a unix socket with a path, `control.sock` among them": {"connecting to control.sock", "connecting to another plugin's socket"},
	"a command to the host over `control.sock`":                            {"a command to the host"},
	"the same without `control.token`":                                     {"a command to the host without the token"},
	"calls of another plugin over its socket":                              {"calls of another plugin"},
	"TCP ports that its `connect` does not name":                           {unnamedPort},
	"TCP ports where it has no `connect`, UDP, names by DNS":               {openPort, "UDP"},
	fmt.Sprintf("a file of more than %d GiB", sandbox.MostFileSize>>30):    {"a large file"},
	fmt.Sprintf("more than %d open files", sandbox.MostFiles):              {"many open files"},
	"a core file": {"a core file"},
	"processor time, memory below `memory-limit`": {"processor time", "memory"},
	"its own app's data and credentials":          {"its own token"},
}

// killedRow is the row of what is tried against a host that is killed.
const killedRow = "a child that outlives a host that is killed, and the start of the next one"

// The columns of the table.
const (
	columnOn = iota
	columnOffAsRoot
	columnOff
	columnContainer
	columnSystemd
	columnOthers
	columns
)

// securityTable returns the cells of the table of attacks by the first one of their row.
func securityTable(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "docs", "decisions", "malicious-plugin.md"))
	require.NoError(t, err)
	rows := map[string][]string{}
	found := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "| what a plugin that means harm gets |") {
			found = true
			continue
		}
		if !found || strings.HasPrefix(line, "| ---") {
			continue
		}
		if !strings.HasPrefix(line, "|") {
			break
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		require.Len(t, cells, 1+columns, line)
		require.NotContains(t, rows, cells[0])
		rows[cells[0]] = cells[1:]
	}
	require.NotEmpty(t, rows, "docs/decisions/malicious-plugin.md has no such table any more")
	return rows
}

// landlockOf are the versions of Linux that the table names, and that of Landlock in them.
var landlockOf = map[string]int{"6.7": 4, "6.12": 6, "7.1": 9}

var exception = regexp.MustCompile(`^(?:below Linux ([\d.]+)|with a control group) (yes|no)$`)

// system is what the verdict of a cell may depend on.
type system struct {
	landlock int
	hasGroup bool // a control group is delegated to the host
}

// verdict is what a cell says of a system: yes, no or, where it depends on more, "".
func verdict(t *testing.T, cell string, of system) string {
	t.Helper()
	parts := strings.Split(cell, "; ")
	said, _, _ := strings.Cut(parts[0], " ")
	said = strings.TrimRight(said, ",:.")
	if said == "depends" {
		return ""
	}
	require.Contains(t, []string{"yes", "no"}, said, "a cell begins with yes, no or depends, unlike %q", cell)
	for _, part := range parts[1:] {
		if match := exception.FindStringSubmatch(part); match != nil {
			since, known := landlockOf[match[1]]
			require.True(t, known || match[1] == "", cell)
			if known && of.landlock < since || !known && of.hasGroup {
				said = match[2]
			}
		}
	}
	return said
}

func TestVerdict_FollowsTheSystem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cell string
		of   system
		want string
	}{
		{"no", system{}, "no"},
		{"yes; [pin it](plugins.md)", system{landlock: 7}, "yes"},
		{"no; below Linux 6.12 yes", system{landlock: 6}, "no"},
		{"no; below Linux 6.12 yes", system{landlock: 5}, "yes"},
		{"no, it needs a token; below Linux 7.1 yes; a word more", system{landlock: 7}, "yes"},
		{"yes; with a control group no", system{}, "yes"},
		{"yes; with a control group no", system{hasGroup: true}, "no"},
		{"depends on the system", system{landlock: 7}, ""},
	} {
		require.Equal(t, c.want, verdict(t, c.cell, c.of), "%+v", c)
	}
}

// notHere returns why an attack cannot succeed on this machine though the table says that
// it does, as another part of the system is in its way; empty: nothing is.
func notHere(name string) string {
	scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	isOfProcess := strings.HasPrefix(name, "memory of ") || strings.HasPrefix(name, "ptrace of ") || strings.HasPrefix(name, "descriptor of ")
	if err == nil && strings.TrimSpace(string(scope)) != "0" && isOfProcess {
		return "kernel.yama.ptrace_scope is not 0"
	}
	return ""
}

// TestSecurity_EachRowHasAttacks: a claim that no attack tries fails here, and so does an
// attack that no row reports.
func TestSecurity_EachRowHasAttacks(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, append(slices.Collect(maps.Keys(attacksOf)), killedRow), slices.Collect(maps.Keys(securityTable(t))))
}

// TestSecurity_OtherColumnsNameWhatKeeps: where a column on containers or systemd says no,
// it names what keeps the plugin from it, and that is in what people deploy.
func TestSecurity_OtherColumnsNameWhatKeeps(t *testing.T) {
	t.Parallel()
	code := regexp.MustCompile("`([^`]+)`")
	for column, files := range map[int][]string{
		columnContainer: {"kubernetes/baton-host/statefulset.yaml", "Dockerfile"},
		columnSystemd:   {"baton-host.service"},
	} {
		var text strings.Builder
		for _, name := range files {
			content, err := os.ReadFile(filepath.Join(deployed, name))
			require.NoError(t, err)
			text.Write(content)
		}
		for row, cells := range securityTable(t) {
			if cells[column] == "as beside" {
				continue
			}
			named := code.FindAllStringSubmatch(cells[column], -1)
			require.NotEmpty(t, named, "%s: %s", row, cells[column])
			for _, one := range named {
				require.Contains(t, text.String(), one[1], row)
			}
		}
	}
}

// TestSecurity_APluginThatMeansHarmGetsWhatTheTableSays runs the real host with a plugin that
// means harm, as root and as a user without rights, without a sandbox first.
func TestSecurity_APluginThatMeansHarmGetsWhatTheTableSays(t *testing.T) {
	t.Parallel()
	table := securityTable(t)
	eachHost(t, func(t *testing.T, h *harmed, column int, of system) {
		tried := map[string]bool{}
		for attacker, loot := range h.attacked(t) {
			compare(t, table, column, of, attacker, loot)
			for name := range loot {
				tried[name] = true
			}
		}
		require.ElementsMatch(t, slices.Concat(slices.Collect(maps.Values(attacksOf))...), slices.Collect(maps.Keys(tried)), "each attack is tried, and is in one row")
	})
}

func TestSecurity_AChildOutlivesAKilledHostWhereTheTableSaysSo(t *testing.T) {
	t.Parallel()
	row := securityTable(t)[killedRow]
	eachHost(t, func(t *testing.T, h *harmed, column int, of system) {
		if h.readOnly || h.mode == "warn" {
			t.Skip("it is as in the others")
		}
		require.Equal(t, verdict(t, row[column], of), h.killed(t).Verdict())
	})
}

// eachHost runs a test of each mode of the attackers' sandbox and each user of the host, with
// the column of the table that is on it.
func eachHost(t *testing.T, test func(t *testing.T, h *harmed, column int, of system)) {
	t.Helper()
	kernel := sandbox.Kernel()
	other := &syscall.Credential{Uid: nobody, Gid: nobody}
	isRoot := os.Geteuid() == 0
	for _, mode := range []string{"off", "warn", "on"} {
		for _, who := range []struct {
			name      string
			user      *syscall.Credential
			readOnly  bool
			needsRoot bool
		}{
			{name: "this user"},
			{name: "user 65534", user: other, needsRoot: true},
			{name: "user 65534 on a read-only root", user: other, readOnly: true, needsRoot: true},
		} {
			t.Run(mode+"/"+who.name, func(t *testing.T) {
				t.Parallel()
				if mode == "on" && (kernel.Landlock == 0 || !kernel.Seccomp) {
					t.Skip("this kernel offers less: ", kernel)
				}
				if who.needsRoot && !isRoot {
					t.Skip("only root can start a host as another user")
				}
				if who.readOnly && (mode == "warn" || !canMakeReadOnlyRoot(t)) {
					t.Skip("a read-only root is not tried with warn, and not where none can be made")
				}
				column := columnOn
				switch {
				case mode == "on":
				case isRoot && who.user == nil:
					column = columnOffAsRoot
				default:
					column = columnOff
				}
				// Nothing is delegated to another user here.
				of := system{landlock: kernel.Landlock, hasGroup: who.user == nil && cgroup.Offered().Obstacle == ""}
				test(t, &harmed{mode: mode, user: who.user, readOnly: who.readOnly}, column, of)
			})
		}
	}
}

// compare compares what an attacker got with a column of the table.
func compare(t *testing.T, table map[string][]string, column int, of system, attacker string, loot map[string]attack.Loot) {
	t.Helper()
	for row, attacks := range attacksOf {
		want := verdict(t, table[row][column], of)
		for _, name := range attacks {
			one, ok := loot[name]
			if !ok {
				continue // The other attacker tries it.
			}
			got := one.Verdict()
			if reason := notHere(name); got == "no" && reason != "" {
				t.Logf("%s: %s is not shown: %s", attacker, name, reason)
				continue
			}
			if want != "" && got != want {
				t.Errorf("%s: %s: the table says %s (%s), and it is %s: %+v", attacker, name, want, table[row][column], got, one)
			}
			if strings.HasPrefix(one.Got, planted) {
				require.Contains(t, []string{victimToken, victimEnv, hostSecret}, one.Got, name)
			}
		}
	}
}

// canMakeReadOnlyRoot reports whether this system lets root make a read-only root.
func canMakeReadOnlyRoot(t *testing.T) bool {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "tmp"), 0o700))
	return finish(t, onReadOnlyRoot(t, dir, exec.CommandContext(t.Context(), "/bin/true"))).status == 0
}
