// Package wizard makes the first configuration file of a person, and adds apps to one: it
// asks for what one app needs, by the plugin's own schema, tries it, and writes
// baton-host.yaml with references in the places of secrets.
//
// The command line calls it and brings the person's terminal. It must never write a
// secret into the configuration, change what is there, or leave a file half-written.
package wizard
