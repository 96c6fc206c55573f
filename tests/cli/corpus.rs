//! The whole round over a folder of real issues, named by `OXI_STATE_CORPUS`.

use std::path::PathBuf;

use serde_json::json;

use crate::project::{ISSUES, number, repository};

#[test]
fn a_real_folder_goes_round() {
    let Some(corpus) = std::env::var_os("OXI_STATE_CORPUS").map(PathBuf::from) else {
        eprintln!("skipped: set OXI_STATE_CORPUS to a folder of issue files to run this");
        return;
    };
    let project = repository();
    std::fs::create_dir_all(project.path(ISSUES)).unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            std::fs::copy(&path, project.file(path.file_name().unwrap().to_str().unwrap())).unwrap();
            count += 1;
        }
    }
    project.oxi("init").ok().says(&format!("imported {count} issues"));
    project.commit("begin");
    let files = project.snapshot();
    let list = project.json("issue list --status all --sort id");
    assert_eq!(list.as_array().unwrap().len(), count);
    project.oxi("status --check").ok();

    // an export with nothing to say
    project.oxi("export").ok();
    project.oxi("sync").ok();
    assert_eq!(project.snapshot(), files);

    // one record changed, one file changed
    let id = number(&list[count / 2]["id"]);
    let name = list[count / 2]["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    project.oxi(&format!("issue update {id} -p critical")).ok();
    project.oxi("export").ok();
    let after = project.snapshot();
    let changed: Vec<_> = after.keys().filter(|name| after[*name] != files[*name]).collect();
    assert_eq!(changed, [&name]);
    assert!(project.git("diff --numstat").starts_with("2\t2\t"), "{}", project.git("diff"));

    // an edit by hand
    project.write(&name, format!("{}\nby hand\n", project.read(&name)));
    assert_eq!(project.json("import")["updated"], json!([id]));
    assert!(project.field(id, "body").ends_with("\nby hand\n"));
    project.oxi("status --check").ok();

    // the database is made of the files
    let list = project.json("issue list --status all");
    project.drop_database();
    assert_eq!(project.json("issue list --status all"), list);
    project.oxi("status --check").ok();
    for line in ["issue summary", "issue next", "issue search the"] {
        project.oxi(line).ok();
    }
}
