// Command gen writes conf.gen.go, the struct of the configuration of baton-roster.
//
// `go generate` runs it. It must never be part of what is released.
package main

import (
	sdkconfig "github.com/conductorone/baton-sdk/pkg/config"

	"github.com/batonhost/baton-host/examples/baton-roster/config"
)

func main() {
	sdkconfig.Generate("roster", config.Schema)
}
