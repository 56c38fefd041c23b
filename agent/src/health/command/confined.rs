//! Which programs are run for the collector: those in the folders that this host names, as nobody but
//! root and the agent's user could have put them there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use watchward_protocol::checks::AbsolutePath;
use watchward_protocol::text::Foreign;

/// Programs among Debian's plugins that run, or write, whatever they are told to: `check_apt` takes
/// options for `apt-get`, `check_by_ssh` for `ssh`, and `check_log` copies one file over another.
const TOOLS: [&str; 5] = ["negate", "urlize", "check_apt", "check_by_ssh", "check_log"];

/// The program itself, if it may be run for the collector.
pub(super) fn confined(
    program: &AbsolutePath,
    folders: &[AbsolutePath],
) -> Result<PathBuf, String> {
    // The collector says what it is called, and that is shown.
    let shown = Foreign::from(program.as_str());
    let real = fs::canonicalize(program.as_path())
        .map_err(|error| format!("{shown} cannot be run: {error}"))?;
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    for name in [name(program.as_path()), name(&real)].into_iter().flatten() {
        if TOOLS.contains(&name.as_str()) {
            return Err(format!(
                "{shown} is not run for the collector: it does whatever it is told to"
            ));
        }
    }
    let inside = |folder: &AbsolutePath| {
        fs::canonicalize(folder.as_path()).is_ok_and(|folder| real.starts_with(folder))
    };
    if !folders.iter().any(inside) {
        return Err(format!(
            "{} is in none of the folders that plugins in [health.orders] names",
            real.display()
        ));
    }
    match real.ancestors().find(|path| lent(path)) {
        None => Ok(real),
        Some(path) => Err(format!(
            "{shown} is not run for the collector: others than root may write {}",
            path.display()
        )),
    }
}

/// Whether others than root and the agent's user may change what is here. In a folder such as `/tmp`
/// they cannot replace what is not theirs.
fn lent(path: &Path) -> bool {
    const OTHERS: u32 = 0o002;
    const GROUP: u32 = 0o020;
    const STICKY: u32 = 0o1000;
    let Ok(is) = fs::symlink_metadata(path) else {
        return true;
    };
    let writers = if is.gid() == 0 {
        OTHERS
    } else {
        OTHERS | GROUP
    };
    let kept = is.is_dir() && is.mode() & STICKY != 0;
    let owned = is.uid() == 0 || is.uid() == geteuid().as_raw();
    !owned || (is.mode() & writers != 0 && !kept)
}
