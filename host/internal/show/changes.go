package show

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

// Review writes what a refused sync would have changed, and the command that approves it.
func Review(ctx context.Context, w io.Writer, form string, found *host.Review, command string) error {
	out := newChanges(w, form)
	if err := found.Each(ctx, func(one host.Change) error { return out.change(found.Upload, one) }); err != nil {
		return err
	}
	if form == terminal.JSON {
		return out.end(terminal.Member{Name: "review", Value: found}, terminal.Member{Name: "approve_with", Value: command})
	}
	out.counts(found.Upload, found.Counts)
	out.line("")
	for _, one := range found.Reasons {
		out.line("refused: %s", one.Reason)
	}
	out.line("%s of upload %s, refused at %s and kept until %s", found.ID, found.Upload, Instant(found.RefusedAt), Instant(found.Until))
	if found.Approval != nil {
		for _, one := range found.Approval.Plugins {
			out.line("approved: %s", approvedInWords(one))
		}
	}
	out.line("if all of this is right: %s", command)
	return out.end()
}

// Approval writes what was approved of a refused sync.
func Approval(w io.Writer, approval *host.Approval, found *host.Review) error {
	out := newChanges(w, terminal.Table)
	for _, one := range approval.Plugins {
		out.line("upload %s: approved %s", approval.Upload, approvedInWords(one))
	}
	var counts []host.ChangeCount
	for _, one := range found.Counts {
		for _, of := range approval.Plugins {
			if of.Plugin == one.Plugin && of.ID == found.ID {
				counts = append(counts, one)
			}
		}
	}
	out.counts(approval.Upload, counts)
	out.line("the next sync passes if it takes away no more than that")
	return out.end()
}

// approvedInWords returns what is approved of a plugin.
func approvedInWords(one host.ApprovedPlugin) string {
	return fmt.Sprintf("%s of plugin %s until %s, as %s, by %s", amount(one.Changes, "change", "changes"), one.Plugin, Instant(one.Until), one.ID, cmp.Or(one.By, "unknown"))
}

// changeList writes changes, then their numbers and sentences. csv has changes only.
type changeList struct {
	*terminal.Stream
	after []string // lines below the table
}

func newChanges(w io.Writer, output string) *changeList {
	out := terminal.NewStream(w, output, "upload", "change", "plugin", "resource_type", "id", "login", "display_name", "email", "attribute",
		"entitlement", "on_resource_type", "on_id", "on_display_name")
	out.Heads, out.Member, out.Compact = []string{"CHANGE", "PLUGIN", "TYPE", "ID", "LOGIN", "NAME", "WHAT"}, "changes", true
	return &changeList{Stream: out}
}

// changed is a change of an upload, for json.
type changed struct {
	Upload string `json:"upload"`
	host.Change
}

func (s *changeList) change(upload string, one host.Change) error {
	s.Value(changed{upload, one})
	s.Row(one.Kind, one.Plugin, one.ResourceType, one.ID, one.Login, one.Name, changeInWords(one))
	s.Record(upload, one.Kind, one.Plugin, one.ResourceType, one.ID, one.Login, one.Name, one.Email, one.Attribute,
		one.Entitlement, one.OnType, one.OnID, one.OnName)
	return s.Err()
}

// changeInWords returns what a row of a table says beside whom it is about.
func changeInWords(one host.Change) string {
	switch {
	case one.Attribute != "":
		return "lost its " + one.Attribute
	case one.OnID != "":
		return fmt.Sprintf("%s of %s", one.Entitlement, cmp.Or(one.OnName, one.OnID))
	}
	return one.Entitlement
}

// counts adds the numbers by plugin and resource type.
func (s *changeList) counts(upload string, counts []host.ChangeCount) {
	for _, one := range counts {
		s.line("%s: %s: %s: %d removed, %d disabled, %d emptied, %d withdrawn, %d ungranted, %d added", upload,
			one.Plugin, one.ResourceType, one.Removed, one.Disabled, one.Emptied, one.Withdrawn, one.Ungranted, one.Added)
	}
}

// line adds a line below the table.
func (s *changeList) line(format string, args ...any) {
	s.after = append(s.after, terminal.Printable(fmt.Sprintf(format, args...)))
}

func (s *changeList) end(members ...terminal.Member) error {
	if s.Form() != terminal.Table {
		return s.finish(s.End(members...))
	}
	if s.HasRows() {
		_ = s.End() // It remembers its error.
		s.Print("\n")
	}
	for _, line := range s.after {
		s.Print(line + "\n")
	}
	return s.finish(s.Err())
}

func (s *changeList) finish(err error) error {
	if err != nil {
		return fmt.Errorf("the changes could not be written to standard output: %w", err)
	}
	return nil
}
