//! Where the engine finds what it reads by itself: Parquet and CSV that `CREATE EXTERNAL TABLE` names, on disks and in stores of a cloud.
//!
//! Logs do not come this way: their readers are in `source`, which speaks to the same stores.

use std::sync::Arc;

use datafusion::common::Result as DfResult;
use datafusion::execution::object_store::{DefaultObjectStoreRegistry, ObjectStoreRegistry};
use datafusion::object_store::ObjectStore;
use url::Url;

use crate::source;

/// The engine's own list of stores, which grows by those that are asked for.
#[derive(Debug, Default)]
pub struct Stores {
    known: DefaultObjectStoreRegistry,
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        self.known.register_store(url, store)
    }

    fn deregister_store(&self, url: &Url) -> DfResult<Arc<dyn ObjectStore>> {
        self.known.deregister_store(url)
    }

    fn get_store(&self, url: &Url) -> DfResult<Arc<dyn ObjectStore>> {
        if let Ok(store) = self.known.get_store(url) {
            return Ok(store);
        }
        match source::store_of(url.as_str()) {
            Some(store) => {
                let store = store?;
                self.known.register_store(url, Arc::clone(&store));
                Ok(store)
            }
            None => self.known.get_store(url),
        }
    }
}
