package show

import (
	"fmt"
	"io"
	"strings"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/config"
	"github.com/batonhost/baton-host/host/internal/errtext"
	"github.com/batonhost/baton-host/host/internal/terminal"
	"github.com/batonhost/baton-host/plugin/conformance"
)

// Outcome writes what became of a check: a line with its name, and what was
// found under it.
func Outcome(w io.Writer, outcome conformance.Outcome) error {
	result := string(outcome.Result)
	if outcome.Result == conformance.Failed {
		result = "FAILED"
	}
	lines := strings.Split(outcome.Sentence, "\n")
	for i, line := range lines {
		lines[i] = "         " + terminal.Printable(line)
	}
	_, err := fmt.Fprintf(w, "%s %s (%.1fs)\n%s\n", terminal.Colored(fmt.Sprintf("%-8s", result)), outcome.Check, outcome.Seconds, strings.Join(lines, "\n"))
	return err
}

// Verdict writes what all checks came to, and what the plugin needed.
func Verdict(w io.Writer, tested *host.Tested) error {
	if err := writeVerdict(w, tested.Report); err != nil {
		return err
	}
	return writeSandbox(w, tested.Sandbox)
}

func writeVerdict(w io.Writer, report *conformance.Report) error {
	who := strings.TrimSpace(terminal.Printable(report.Plugin + " " + report.Version))
	if who == "" {
		who = "the plugin"
	}
	_, err := fmt.Fprintf(w, "\n%s: %d passed, %d failed, %d skipped\n", who,
		report.Count(conformance.Passed), report.Count(conformance.Failed), report.Count(conformance.Skipped))
	return err
}

// writeSandbox writes what the plugin needed beyond what every one may use.
func writeSandbox(w io.Writer, found host.Sandboxed) error {
	var lines []string
	switch block := found.Block(); {
	case found.Mode == config.SandboxOff:
		return nil
	case block != "":
		lines = append(lines, "It needs more than every plugin may use. To open that, add to its entry:", indent(block))
	case len(found.Denied) == 0 && found.Unobserved == "":
		lines = append(lines, "It needs nothing beyond what every plugin may use.")
	}
	if found.Mode == config.SandboxOn && len(found.Read)+len(found.Write) > 0 {
		lines = append(lines, "It was denied that, and may need more once it has it: run this again then.")
	}
	for _, hint := range found.Hints {
		lines = append(lines, "- "+hint)
	}
	if len(found.Denied) > 0 {
		lines = append(lines, "No key opens:")
		for _, denied := range found.Denied {
			lines = append(lines, "- "+denied)
		}
	}
	if found.Unobserved != "" {
		lines = append(lines, "What it needs beyond what every plugin may use is not known, or not all of it: "+found.Unobserved)
	}
	for i, line := range lines {
		lines[i] = errtext.Printable(line, "\n")
	}
	_, err := fmt.Fprintf(w, "\n%s\n", strings.Join(lines, "\n"))
	return err
}

// indent has each line of a text begin further to the right.
func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }
