package plugin

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/conductorone/baton-sdk/pkg/dotc1z"
	"github.com/spf13/cobra"
	"github.com/spf13/viper"
)

// otherWork are the SDK's flags that make a run something else than a sync.
var otherWork = []string{
	"client-id", "grant-entitlement", "revoke-grant", "event-feed", "create-account-profile", "create-account-login",
	"invoke-action", "list-action-schemas", "delete-resource", "rotate-credentials", "create-ticket",
	"bulk-create-ticket", "list-ticket-schemas", "get-ticket", "diff-syncs", "compact-syncs",
}

// judged is the SDK's main command, but for a sync into a file, whose exit status is 0
// only if the sync came to its end.
func judged(ctx context.Context, settings *viper.Viper, sdk func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) error {
		if !beingJudged() {
			if err := settings.BindPFlags(command.Flags()); err != nil {
				return err
			}
			if isOneShotSync(settings) {
				judge(ctx, settings.GetString("file"))
			}
			return sdk(command, args)
		}
		if err := sdk(command, args); err != nil {
			return err
		}
		os.Exit(returned)
		return nil
	}
}

// isOneShotSync reports whether the SDK's command line is about to sync once into a file.
func isOneShotSync(settings *viper.Viper) bool {
	isOther := func(flag string) bool {
		value := settings.GetString(flag)
		return value != "" && value != "false"
	}
	return settings.GetString("file") != "" && !slices.ContainsFunc(otherWork, isOther)
}

// holdsSyncSince reports whether the file holds a sync that was finished at that time
// or later.
func holdsSyncSince(ctx context.Context, path string, start time.Time) bool {
	store, err := dotc1z.NewStore(ctx, path, dotc1z.WithReadOnly(true))
	if err != nil {
		return false
	}
	defer func() { _ = store.Close(ctx) }()
	latest, err := store.SyncMeta().LatestFinishedSyncOfAnyType(ctx)
	return err == nil && latest != nil && latest.EndedAt != nil && !latest.EndedAt.Before(start)
}
