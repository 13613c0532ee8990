package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/show"
)

func newApproveCommand(root *rootOptions) *cobra.Command {
	options := &keptOptions{root: root}
	var valid time.Duration
	cmd := &cobra.Command{
		Use:   "approve UPLOAD ID",
		Short: "Let through once what a refused sync would have taken away",
		Long: `Let through once what a sync that the change guard refused would have taken away
from ConductorOne (C1), as review shows it with its ID: the next sync passes if it
takes away that or less, and is refused again if it takes away anything else. The
approval is used up when C1 accepts the sync, or after --for.

A host that runs on the state directory does it at once and needs no restart; its log
says who has approved what. Where none runs, this command does it, also for sync.
The ID must be that of the newest refused sync.`,
		Example: `  baton-host approve workforce 4f2a9c1d
  baton-host approve workforce 4f2a9c1d --for 2h --state-dir /var/lib/baton-host
  baton-host approve workforce 4f2a9c1d --output-dir out`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: perArgument(uploads, options.refusedIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if valid <= 0 {
				return fmt.Errorf("--for must be longer than nothing, unlike %s", valid)
			}
			return options.approve(cmd.Context(), cmd.OutOrStdout(), cmd.Flags(), args[0], args[1], valid)
		},
	}
	options.addFlags(cmd)
	cmd.Flags().DurationVar(&valid, "for", host.DefaultApproval, "how long the approval is valid")
	return cmd
}

func (o *keptOptions) approve(ctx context.Context, w io.Writer, flags *pflag.FlagSet, upload, id string, valid time.Duration) error {
	h, places, err := o.open(ctx, flags)
	if err != nil {
		return err
	}
	defer h.Close(ctx)
	found, at, err := h.FindReview(ctx, upload, id, places...)
	if err != nil {
		return err
	}
	approval, err := h.Approve(ctx, found.Upload, id, host.ApproveOptions{Kept: at, For: valid})
	if err != nil {
		return err
	}
	return show.Approval(w, approval, found)
}

// refusedIDs offers the id of the refused sync of the upload that has been typed.
func (o *keptOptions) refusedIDs(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	h, places, err := o.open(cmd.Context(), cmd.Flags())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	found, _, err := h.FindReview(cmd.Context(), args[0], "", places...)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []cobra.Completion{cobra.CompletionWithDesc(found.ID, "refused at "+show.Instant(found.RefusedAt))}, cobra.ShellCompDirectiveNoFileComp
}
