package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batonhost/baton-host/sandbox/c1"
	"github.com/batonhost/baton-host/sandbox/scim"
)

const repository = "../../.."

// documents are the texts for people, by their paths in the repository.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "deploy/*.md", "examples/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(repository, pattern))
		require.NoError(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			name, err := filepath.Rel(repository, path)
			require.NoError(t, err)
			texts[name] = string(text)
		}
	}
	require.Greater(t, len(texts), 10)
	return texts
}

var (
	fence   = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	unsaid  = regexp.MustCompile(`[^\p{L}\p{N} _-]+`)
)

// blocks are the blocks of code in a language.
func blocks(text, language string) []string {
	var found []string
	for _, match := range fence.FindAllStringSubmatch(text, -1) {
		if match[1] == language {
			found = append(found, match[2])
		}
	}
	return found
}

// anchors are the places in a document that a link can lead to.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		found[strings.ReplaceAll(unsaid.ReplaceAllString(strings.ToLower(match[1]), ""), " ", "-")] = true
	}
	return found
}

func TestEveryLinkInADocumentLeadsSomewhere(t *testing.T) {
	t.Parallel()
	texts := documents(t)
	for name, text := range texts {
		for _, match := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(match[1], "#")
			to := name
			if path != "" {
				to = filepath.Join(filepath.Dir(name), path)
				_, err := os.Stat(filepath.Join(repository, to))
				require.NoError(t, err, "%s: %s", name, match[1])
			}
			if anchor != "" {
				require.True(t, anchors(texts[to])[anchor], "%s: %s", name, match[1])
			}
		}
	}
}

// TestEveryCommandInADocumentIsOne runs the commands of all documents in a shell in
// which each of ours only looks at its arguments, and a foreign one does nothing.
// One that the shell does not know fails.
func TestEveryCommandInADocumentIsOne(t *testing.T) {
	t.Parallel()
	ours := `#!/bin/sh
name=${0##*/}
[ "$name" = baton-host ] && [ "$1" = "" ] && exit 0
exec "` + bin + `/$name" "$@" --help >/dev/null
`
	programs := t.TempDir()
	for name, text := range map[string]string{
		"baton-host": ours, "baton-fullstory": ours, "baton-scim": ours,
		"make": "#!/bin/sh\ncase \" $* \" in *' -C '*|*' run '*|*' build '*) exit 0;; esac\nexec /usr/bin/make -s -n -C \"$REPOSITORY\" \"$@\" >/dev/null\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(programs, name), []byte(text), 0o700)) //nolint:gosec // A program.
	}
	for _, name := range []string{
		"docker", "kubectl", "systemctl", "journalctl", "install", "dlv", "go", "npm", "git",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\nexit 0\n"), 0o700)) //nolint:gosec // A program.
	}
	root, err := filepath.Abs(repository)
	require.NoError(t, err)
	for name, text := range documents(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, block := range blocks(text, "sh") {
				// What the reader is in is not there, and what programs say is not read.
				script := "set -e\ncd() { :; }\nkill() { :; }\nexec </dev/null\nPATH=" + programs + "\n" +
					strings.NewReplacer(`export PATH="$PWD/bin:$PATH"`, "", "bin/baton-host", "baton-host").Replace(block)
				shell := exec.CommandContext(t.Context(), "bash", "-c", script) //nolint:gosec // Of this repository.
				shell.Env = []string{"REPOSITORY=" + root, "HOME=" + t.TempDir()}
				shell.Dir = t.TempDir()
				out, err := shell.CombinedOutput()
				require.NoError(t, err, "%s\n%s", block, out)
			}
		})
	}
}

// TestTheFirstStepsAreAsWritten follows docs/getting-started.md to the letter, with
// stand-ins for Fullstory and for C1.
func TestTheFirstStepsAreAsWritten(t *testing.T) {
	t.Parallel()
	tenant := startC1(t, c1.Options{})
	credentials := tenant.client(t, "workforce")
	app := startApp(t, scim.Options{App: "fullstory", Accounts: 12, Seed: 1})
	guide := documents(t)["docs/getting-started.md"]
	mine := strings.NewReplacer(
		"https://app.fullstory.com/scim/v2", app.url,
		"BATON_SCIM_TOKEN=…", "BATON_SCIM_TOKEN="+app.token,
		"BATON_CLIENT_ID=…", "BATON_CLIENT_ID="+credentials.ID,
		"BATON_CLIENT_SECRET=…", "BATON_CLIENT_SECRET="+credentials.Secret,
		"127.0.0.1:9400", "127.0.0.1:0",
	)
	dir := t.TempDir()
	files := blocks(guide, "yaml")
	require.Len(t, files, 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "baton-host.yaml"), []byte(mine.Replace(files[0])), 0o600))

	shell := func(script string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "bash", "-c", script) //nolint:gosec // Of this repository.
		cmd.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir(), tenant.trust()}
		cmd.Dir = dir
		return cmd
	}
	said := "set -e\n" // The shell of somebody who goes from step to step.
	served := 0
	for _, block := range blocks(guide, "sh") {
		block = mine.Replace(block)
		require.NotContains(t, block, "…")
		if strings.HasPrefix(block, "make build") { // The tests have built them.
			continue
		}
		lines := strings.Split(strings.TrimSpace(block), "\n")
		last := lines[len(lines)-1]
		if strings.HasPrefix(last, "baton-host run ") || last == "baton-fullstory" {
			id := tenant.fullSync(t, "workforce")
			lines[len(lines)-1] = "exec " + last
			cmd := shell(said + strings.Join(lines, "\n"))
			host := startService(t, dir, cmd)
			require.Len(t, tenant.synced(t, id), 12)
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
			<-host.ctx.Done()
			served++
		} else {
			out, err := shell(said + block).CombinedOutput()
			require.NoError(t, err, "%s\n%s", block, out)
			if strings.HasPrefix(last, "baton-host accounts") {
				require.Contains(t, string(out), app.server.Accounts()[11].UserName)
			}
		}
		for _, line := range lines {
			if strings.HasPrefix(line, "export ") || strings.HasPrefix(line, "unset ") {
				said += line + "\n"
			}
		}
	}
	require.Equal(t, 2, served)
}
