package main

import (
	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/host"
	"github.com/batonhost/baton-host/host/internal/show"
	"github.com/batonhost/baton-host/host/internal/terminal"
)

func newInspectCommand(root *rootOptions) *cobra.Command {
	var configFile, output string
	var unlocked bool
	cmd := &cobra.Command{
		Use:   "inspect PLUGIN",
		Short: "Show what a plugin is, what it takes and what it can do",
		Long: `Start a plugin, ask it to describe itself and stop it. PLUGIN is a plugin of the
configuration file, or else the name of an app, such as "fullstory", or the path
of a plugin binary. Where a connector has several ways to authenticate, the value
of its field auth-method chooses which fields apply; they are listed by it (in the
JSON as field_groups). Fields that are not for everyday use are in the JSON only.`,
		Example: `  baton-host inspect fullstory
  baton-host inspect ./bin/baton-scim --output json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: perArgument(root.plugins),
		RunE: func(cmd *cobra.Command, args []string) error {
			options := root.hostOptions(cmd.Context(), host.NoSecrets)
			options.Unlocked = unlocked
			h, err := host.Open(cmd.Context(), host.Selection{ConfigFile: configFile, Plugin: args[0]}, options)
			if err != nil {
				return err
			}
			described, err := h.Describe(cmd.Context())
			if err != nil {
				return err
			}
			return show.Manifest(cmd.OutOrStdout(), output, described)
		},
	}
	addPluginFlags(cmd.Flags(), &configFile, &unlocked)
	addOutputFlag(cmd, &output, terminal.Table, terminal.JSON)
	return cmd
}
