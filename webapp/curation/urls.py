"""Addresses of labels (/label/), saved filters (/filters/), selections (/selections/) and datasets (/datasets/)."""

from django.urls import path

from webapp.curation.views import datasets, exports, filters, labels, selections

app_name = "curation"
urlpatterns = [
    path("label/next/", labels.next_trace, name="next"),
    path("label/<int:trace_id>/", labels.label, name="label"),
    path("filters/", filters.saved_filters, name="saved_filters"),
    path("filters/<int:filter_id>/delete/", filters.delete_filter, name="delete_filter"),
    path("selections/", selections.selections, name="selections"),
    path("selections/new/", selections.selection_new, name="selection_new"),
    path("selections/preview/<uuid:job_id>/", selections.selection_preview, name="selection_preview"),
    path("selections/<int:selection_id>/", selections.selection, name="selection"),
    path("datasets/", datasets.datasets, name="datasets"),
    path("datasets/<int:dataset_id>/", datasets.dataset, name="dataset"),
    path("datasets/<int:dataset_id>/v<int:number>/", datasets.version, name="version"),
    path("datasets/<int:dataset_id>/v<int:number>/manifest.json", datasets.manifest, name="manifest"),
    path("datasets/<int:dataset_id>/v<int:number>/export/", exports.export_new, name="export_new"),
    path("datasets/exports/<int:export_id>/", exports.export, name="export"),
    path("datasets/exports/<int:export_id>/files/<path:name>", exports.download, name="download"),
    path("datasets/exports/<int:export_id>/all.zip", exports.download_all, name="download_all"),
]
