package main

import (
	"github.com/spf13/cobra"

	"github.com/batonhost/baton-host/sandbox/scim"
)

// peopleOptions decide who the people of a service are. The service and the
// command that lists its people share them.
type peopleOptions struct {
	app      string
	seed     uint64
	accounts int
}

func (o *peopleOptions) addFlags(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&o.app, "app", scim.DefaultApp, "the app to imitate; decides the people and their roles")
	flags.Uint64Var(&o.seed, "seed", 1, "decides who the people are, with --app")
	flags.IntVar(&o.accounts, "accounts", 250, "how many people there are")
}
