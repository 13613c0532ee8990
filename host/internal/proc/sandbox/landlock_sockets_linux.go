package sandbox

// resolveUnix is LANDLOCK_ACCESS_FS_RESOLVE_UNIX: to connect to a unix socket with a path, of
// a process that is not in the same sandbox. The version of package unix does not have it.
const resolveUnix = 1 << 16

// nameServices are where the sockets are by which libraries find names and users.
var nameServices = []string{
	"/run/nscd", "/var/run/nscd", "/run/nslcd", "/run/avahi-daemon", "/run/samba/winbindd", "/var/lib/sss/pipes", "/run/systemd/resolve", "/run/systemd/userdb",
}
