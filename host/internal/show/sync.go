package show

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// plannedSync is the verdict on the sync of one upload, for json.
type plannedSync struct {
	Upload  string             `json:"upload"`
	Refused bool               `json:"refused"`
	Counts  []host.ChangeCount `json:"counts"`
	// Stale are the plugins that would fall back.
	Stale []string `json:"stale_plugins,omitempty"`
	// Missing are the plugins that the sync would go without.
	Missing []string `json:"missing_plugins,omitempty"`
	Note    string   `json:"note,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// Plan writes what syncs would change. Change is called while they are made, and End with
// their results.
type Plan struct{ out *changeList }

// NewPlan returns a plan that is written to w.
func NewPlan(w io.Writer, form string) *Plan { return &Plan{newChanges(w, form)} }

// Change writes a change of an upload.
func (p *Plan) Change(upload string, one host.Change) error { return p.out.change(upload, one) }

// End writes the verdicts. isRefused reports that everything that failed would be refused.
func (p *Plan) End(results []*host.SyncResult) (isRefused bool, err error) {
	isRefused = true
	planned := []plannedSync{}
	for _, result := range results {
		one := plannedSync{Upload: result.Upload, Refused: result.IsRefused(), Counts: result.Counts, Note: result.Unguarded}
		if one.Counts == nil {
			one.Counts = []host.ChangeCount{}
		}
		for _, stale := range result.Stale {
			one.Stale = append(one.Stale, stale.Plugin)
		}
		one.Missing = slices.Sorted(maps.Keys(result.Missing))
		if result.Err != nil {
			one.Error = terminal.Words(result.Err)
		}
		isRefused = isRefused && (result.Err == nil || one.Refused)
		planned = append(planned, one)
		p.out.counts(result.Upload, result.Counts)
		p.out.line("%s: %s", result.Upload, one.verdict())
	}
	return isRefused, p.out.end(terminal.Member{Name: "syncs", Value: planned})
}

// verdict returns what would become of the sync, in words.
func (p plannedSync) verdict() string {
	without := ""
	if len(p.Missing) > 0 {
		without = ", without " + joined(p.Missing)
	}
	switch {
	case p.Refused:
		return "REFUSED: the sync would be refused"
	case p.Error != "":
		return "FAILED: the sync would fail"
	case len(p.Stale) > 0:
		return "STALE: the sync would be accepted, with the baseline's part of " + joined(p.Stale) + without
	case without != "":
		return "INCOMPLETE: the sync would be accepted" + without
	}
	return "the sync would be accepted"
}

// syncedPart is one plugin's part of an upload that was synced, for json.
type syncedPart struct {
	Upload   string `json:"upload"`
	Plugin   string `json:"plugin"`
	Accounts int    `json:"accounts"`
	// Stale is how many of the accounts are of an earlier sync, AsOf of when.
	Stale int        `json:"stale_accounts"`
	AsOf  *time.Time `json:"as_of,omitempty"`
	// Skipped is how many resources lack entitlements or grants.
	Skipped int `json:"skipped_resources"`
	// Missing says that the file is without the plugin, as it is new and failed; Error says
	// why.
	Missing bool `json:"missing,omitempty"`
	// Evidence is what the connector has reported on whether its lists are complete.
	Evidence       string  `json:"evidence,omitempty"`
	EvidenceReason string  `json:"evidence_reason,omitempty"`
	File           string  `json:"file,omitempty"`
	Seconds        float64 `json:"seconds"`
	Error          string  `json:"error,omitempty"`
}

// Summary writes what was synced.
func Summary(w io.Writer, form string, results []*host.SyncResult) error {
	if err := writeSummary(w, form, results); err != nil {
		return fmt.Errorf("the summary could not be written to standard output: %w", err)
	}
	return nil
}

func writeSummary(w io.Writer, form string, results []*host.SyncResult) error {
	out := terminal.NewStream(w, form, "upload", "plugin", "accounts", "result")
	for _, result := range results {
		whole := syncedPart{Upload: result.Upload, Seconds: result.Took.Seconds()}
		if result.Err != nil {
			whole.Error = terminal.Words(result.Err)
			failed := []string{result.Upload, joined(result.Plugins), "-", "FAILED: no file was written"}
			out.Row(failed...)
			out.Record(failed...)
			for _, whole.Plugin = range result.Plugins {
				out.Value(whole)
			}
			continue
		}
		whole.File = result.File
		for _, plugin := range slices.Sorted(maps.Keys(result.Accounts)) {
			part := whole
			part.Plugin, part.Accounts = plugin, result.Accounts[plugin]
			part.Evidence, part.EvidenceReason = result.Evidence[plugin].Grade, result.Evidence[plugin].Reason
			outcome := fmt.Sprintf(" in %s: %s (evidence: %s)", result.Took.Round(time.Millisecond*10), result.File, part.Evidence)
			words := "complete" + outcome
			if part.Skipped = result.Skipped[plugin]; part.Skipped > 0 {
				words = fmt.Sprintf("INCOMPLETE%s; %d of its resources lack entitlements or grants, which were skipped", outcome, part.Skipped)
			}
			if i := slices.IndexFunc(result.Stale, func(stale host.StalePart) bool { return stale.Plugin == plugin }); i >= 0 {
				stale := result.Stale[i]
				part.Stale, part.AsOf = stale.Accounts, &stale.AsOf
				words += fmt.Sprintf("; STALE: %d of these are as of %s", stale.Accounts, stale.AsOf.UTC().Format(time.RFC3339))
			}
			out.Add(part, result.Upload, plugin, strconv.Itoa(part.Accounts), words)
		}
		for _, plugin := range slices.Sorted(maps.Keys(result.Missing)) {
			part := whole
			part.Plugin, part.Missing, part.Error = plugin, true, terminal.Words(result.Missing[plugin])
			out.Add(part, result.Upload, plugin, "-", "INCOMPLETE: the file is without this plugin, which is new and failed; it joins when it can be read")
		}
	}
	return out.End()
}

// joined returns a list of names as a sentence has it.
func joined(names []string) string { return strings.Join(names, ", ") }
